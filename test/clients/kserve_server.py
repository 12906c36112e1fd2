"""A model of PyPI kserve's own server: `twice` doubles what it is given. Listens on the port that it is told, HTTP alone."""

import sys
import uuid

import numpy
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Twice(Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    def predict(self, payload: InferRequest, headers=None):
        values = payload.inputs[0].as_numpy()
        output = InferOutput(name="doubled", shape=list(values.shape), datatype="FP32")
        output.set_data_from_numpy(values.astype(numpy.float32) * 2, binary_data=bool(payload.use_binary_outputs))
        return InferResponse(model_name=self.name, infer_outputs=[output], response_id=payload.id or str(uuid.uuid4()))


ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start([Twice("twice")])
