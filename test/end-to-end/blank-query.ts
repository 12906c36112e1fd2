/** The status that a node answers one blank image with. */
export async function blankQuery(inference: string, key: string): Promise<number> {
  const answer = await fetch(`${inference}/v2/models/digits/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: new Array(784).fill(0) }] }),
  })
  await answer.arrayBuffer()
  return answer.status
}
