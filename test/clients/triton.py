"""What users of PyPI tritonclient[http] do, against a Cordon node that serves the digits."""

import asyncio
import os

import numpy as np
import tritonclient.http as sync_http
import tritonclient.http.aio as aio_http
from tritonclient.utils import InferenceServerException

# The client writes into the headers that it is given: each call gets its own.
url = os.environ["CORDON_URL"].removeprefix("http://")
mine = {"Authorization": f"Bearer {os.environ['CORDON_KEY']}"}
images = np.fromfile(os.environ["IMAGES"], dtype=np.float32).reshape(-1, 28, 28, 1)
labels = [int(label) for label in os.environ["LABELS"].split(",")]


def question(http, batch, binary):
    tensor = http.InferInput("image", list(batch.shape), "FP32")
    tensor.set_data_from_numpy(batch, binary_data=binary)
    return [tensor]


def check(result, batch=images):
    probabilities = result.as_numpy("probabilities")
    assert probabilities.dtype == np.float32 and probabilities.shape == (len(batch), 10)
    right = sum(int(top == label) for top, label in zip(probabilities.argmax(axis=1), labels))
    assert right >= len(batch) - 1, f"{right} of {len(batch)} right"
    return probabilities


def refused(status, call):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == str(status), error
        assert error.message(), error
        return
    raise AssertionError(f"expected {status}")


def synchronous():
    client = sync_http.InferenceServerClient(url, concurrency=4)
    output = sync_http.InferRequestedOutput
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("digits", headers=dict(mine))
    assert client.is_model_ready("digits", "1", headers=dict(mine))
    assert not client.is_model_ready("none", headers=dict(mine))
    server = client.get_server_metadata()
    assert "binary_tensor_data" in server["extensions"], server
    metadata = client.get_model_metadata("digits", headers=dict(mine))
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}], metadata
    config = client.get_model_config("digits", headers=dict(mine))
    assert config["max_batch_size"] >= 32 and config["input"][0]["dims"] == [28, 28, 1], config
    assert config["input"][0]["data_type"] == "TYPE_FP32" and "dynamic_batching" in config, config
    index = client.get_model_repository_index(headers=dict(mine))
    assert {"name": "digits", "version": "1", "state": "READY", "reason": ""} in index, index

    # Binary in and out, which is what the client does when nothing is said.
    expected = check(client.infer("digits", question(sync_http, images, True), headers=dict(mine)))
    for binary_in in (True, False):
        for binary_out in (True, False):
            result = client.infer(
                "digits",
                question(sync_http, images, binary_in),
                outputs=[output("probabilities", binary_data=binary_out)],
                request_id="mine",
                headers=dict(mine),
            )
            np.testing.assert_allclose(check(result), expected, atol=1e-6)
            assert result.get_response()["id"] == "mine"
    for algorithm in ("gzip", "deflate"):
        for binary in (True, False):
            result = client.infer(
                "digits",
                question(sync_http, images, binary),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
                headers=dict(mine),
            )
            check(result)
    result = client.infer("digits", question(sync_http, images[:1], True), model_version="1", headers=dict(mine), priority=1, timeout=5_000_000)
    assert result.get_response()["model_version"] == "1"
    result = client.infer(
        "digits", question(sync_http, images, True), outputs=[output("probabilities", class_count=3)], headers=dict(mine)
    )
    top = result.as_numpy("probabilities")
    assert top.shape == (len(images), 3), top.shape
    value, number, label = top[0][0].decode().split(":")
    assert int(number) == expected[0].argmax() and label == str(labels[0]) and abs(float(value) - expected[0].max()) < 1e-5
    waiting = [client.async_infer("digits", question(sync_http, images, True), headers=dict(mine)) for _ in range(8)]
    for one in waiting:
        check(one.get_result())

    statistics = client.get_inference_statistics(headers=dict(mine))["model_stats"]
    current = client.get_inference_statistics("digits", "2", headers=dict(mine))["model_stats"]
    assert len(statistics) == 2 and len(current) == 1, statistics
    assert current[0]["inference_count"] >= 17 * len(images), current
    assert current[0]["inference_stats"]["success"]["count"] > 0, current

    refused(401, lambda: client.infer("digits", question(sync_http, images, True)))
    refused(401, lambda: client.get_inference_statistics(headers={"Authorization": "Bearer wrong"}))
    refused(403, lambda: client.load_model("digits", headers=dict(mine)))
    refused(403, lambda: client.unload_model("digits", headers=dict(mine)))
    refused(404, lambda: client.infer("none", question(sync_http, images, True), headers=dict(mine)))
    refused(422, lambda: client.infer("digits", question(sync_http, images * 2, True), headers=dict(mine)))
    refused(422, lambda: client.infer("digits", question(sync_http, images[:, :14], True), headers=dict(mine)))
    slowed = {"Authorization": f"Bearer {os.environ['THROTTLED_KEY']}"}
    refused(429, lambda: client.infer("digits", question(sync_http, images[:1], True), headers=dict(slowed)))
    client.close()


async def asynchronous():
    async with aio_http.InferenceServerClient(url) as client:
        assert await client.is_server_ready()
        assert (await client.get_model_config("digits", headers=dict(mine)))["name"] == "digits"
        for binary in (True, False):
            for algorithm in (None, "gzip", "deflate"):
                result = await client.infer(
                    "digits",
                    question(aio_http, images, binary),
                    outputs=[aio_http.InferRequestedOutput("probabilities", binary_data=binary)],
                    request_compression_algorithm=algorithm,
                    headers=dict(mine),
                )
                check(result)
        many = [client.infer("digits", question(aio_http, images, True), headers=dict(mine)) for _ in range(16)]
        for result in await asyncio.gather(*many):
            check(result)


synchronous()
asyncio.run(asynchronous())
print("tritonclient: all well")
