"""The OpenAI SDK of PyPI, unmodified, against a node: CORDON_URL, CORDON_KEY, THROTTLED_KEY (whose quota is used up)."""

import json
import os

import openai

base = os.environ["CORDON_URL"] + "/v1"
client = openai.OpenAI(base_url=base, api_key=os.environ["CORDON_KEY"], max_retries=0)
messages = [{"role": "user", "content": "say it again"}]
ask = {"model": "parrot", "messages": messages}


def refused(kind, **arguments):
    """The error that the call is refused with."""
    key = arguments.pop("key", os.environ["CORDON_KEY"])
    try:
        openai.OpenAI(base_url=base, api_key=key, max_retries=0).chat.completions.create(**{**ask, **arguments})
    except kind as error:
        return error
    raise AssertionError(f"not refused: {kind.__name__}")


# Whole and streamed.
whole = client.chat.completions.create(**ask, temperature=0, seed=1)
assert whole.choices[0].message.content == "say it again"
assert whole.usage.total_tokens == 8
chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "say it again"
assert chunks[-1].usage.total_tokens == 8

# A tool that must be called, and its answer.
weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    },
}
forced = {**ask, "tools": [weather], "tool_choice": {"type": "function", "function": {"name": "weather"}}}
message = client.chat.completions.create(**forced).choices[0].message
assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Paris"}
with client.chat.completions.stream(**forced) as stream:
    assert stream.get_final_completion().choices[0].message.tool_calls[0].function.name == "weather"
told = [*messages, message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}]
assert client.chat.completions.create(model="parrot", messages=told).choices[0].message.content == "rain"

# Log probabilities, completions, embeddings (base64 where numpy is there), models.
logprobs = client.chat.completions.create(**ask, logprobs=True, top_logprobs=1).choices[0].logprobs
assert logprobs.content[0].top_logprobs[0].logprob == -0.123456
assert client.completions.create(model="parrot", prompt="once upon").choices[0].text == "once upon"
assert client.embeddings.create(model="parrot", input=["a", "b"]).data[1].embedding == [0.5, -0.25, 0.125, -1]
assert client.embeddings.create(model="parrot", input="a", encoding_format="float").data[0].embedding == [0.5, -0.25, 0.125, -1]
assert [model.id for model in client.models.list()] == ["parrot"]

# Refusals.
refused(openai.AuthenticationError, key="no")
assert refused(openai.NotFoundError, model="heron").code == "model_not_found"
assert refused(openai.BadRequestError, max_tokens=65).param == "max_tokens"
assert refused(openai.BadRequestError, extra_body={"top_k": 5}).param == "top_k"
assert int(refused(openai.RateLimitError, key=os.environ["THROTTLED_KEY"]).response.headers["retry-after"]) > 0

# Leaving half-way.
with client.chat.completions.create(model="parrot", messages=[{"role": "user", "content": "forever"}], stream=True) as leaving:
    for chunk in leaving:
        if chunk.choices[0].delta.content == "ever ":
            break

print("all well")
