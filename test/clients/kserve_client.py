"""What users of PyPI kserve do, against a Cordon node that serves the digits."""

import asyncio
import os

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url = os.environ["CORDON_URL"]
mine = {"Authorization": f"Bearer {os.environ['CORDON_KEY']}"}
images = np.fromfile(os.environ["IMAGES"], dtype=np.float32).reshape(-1, 28, 28, 1)
labels = [int(label) for label in os.environ["LABELS"].split(",")]


def request(binary_in, binary_out, named):
    tensor = InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images, binary_data=binary_in)
    outputs = [RequestedOutput("probabilities", {"binary_data": binary_out})] if named else None
    parameters = None if named else {"binary_data_output": binary_out}
    return InferRequest("digits", [tensor], request_id="mine", parameters=parameters, request_outputs=outputs)


async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, "digits", headers=mine)
    for binary_in in (True, False):
        for binary_out in (True, False):
            for named in (True, False):
                answer = await client.infer(url, request(binary_in, binary_out, named), model_name="digits", headers=dict(mine))
                assert answer.id == "mine" and answer.model_name == "digits"
                probabilities = answer.outputs[0].as_numpy()
                right = sum(int(top == label) for top, label in zip(probabilities.argmax(axis=1), labels))
                assert right >= len(images) - 1, f"{right} of {len(images)} right"
    for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401)):
        try:
            await client.infer(url, request(True, True, True), model_name="digits", headers=headers)
            raise AssertionError(f"expected {status}")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == status, error
    await client.close()


asyncio.run(main())
print("kserve: all well")
