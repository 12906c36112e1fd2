#!/usr/bin/env bash
# Installs the native TensorFlow backend of the model runtime: npm's @tensorflow/tfjs-node, its addon compiled
# here against the libraries in PyPI's tensorflow-cpu wheel. (What the package's own install script downloads
# is TensorFlow 2.9, from a host that many networks do not let through.)
#
# Needs Linux on x64, g++, and Python 3 with pip. Writes to node_modules/ and .tensorflow/ (about 0.9 GB), both ignored by
# git; package.json and package-lock.json stay as they are. Run again after `npm ci`, which removes the package:
# what is already there is not fetched or built again.
set -euo pipefail
cd "$(dirname "$0")/.."

tfjs=4.22.0
napi_headers=1.5.0
tensorflow=2.21.0
# Of tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl; only its C libraries are used, not its Python.
wheel_sha256=2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c
python_version=3.11

home=.tensorflow
package=node_modules/@tensorflow/tfjs-node
addon=$package/lib/napi-v8/tfjs_binding.node
PATH="$PWD/node_modules/.bin:$PATH"

fail() {
  echo "setup-tensorflow: $*" >&2
  exit 1
}

installed() {
  [ "$(node -p "require('./$1/package.json').version" 2>/dev/null)" = "$2" ]
}

loads() {
  [ -e "$addon" ] && TF_CPP_MIN_LOG_LEVEL=2 node --no-deprecation -e \
    "const tf = require('@tensorflow/tfjs-node'); if (tf.getBackend() !== 'tensorflow') process.exit(1)" >/dev/null 2>&1
}

[ "$(uname -sm)" = 'Linux x86_64' ] || fail "there is a recipe for Linux on x86_64 only, this is $(uname -sm)"
[ -d node_modules/@tensorflow/tfjs-core ] || fail 'run npm ci first'
command -v g++ >/dev/null || fail 'g++ is needed: install a C++ compiler'

if ! installed "$package" "$tfjs" || ! installed node_modules/node-api-headers "$napi_headers"; then
  echo "@tensorflow/tfjs-node $tfjs: installing"
  # As an optional dependency, or npm leaves it out: package.json names it as an optional peer.
  npm install --no-save --save-optional --ignore-scripts --no-audit --no-fund --loglevel=error \
    "@tensorflow/tfjs-node@$tfjs" "node-api-headers@$napi_headers"
  echo "@tensorflow/tfjs-node $tfjs: installed after $SECONDS s"
fi

if [ "$(cat "$home/version" 2>/dev/null)" != "$tensorflow" ]; then
  echo "tensorflow-cpu $tensorflow: fetching its wheel (274 MB)"
  rm -rf "$home" && mkdir -p "$home"
  echo "tensorflow-cpu==$tensorflow --hash=sha256:$wheel_sha256" >"$home/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --platform manylinux_2_27_x86_64 --python-version "$python_version" --dest "$home" --requirement "$home/requirements.txt"
  python3 - "$home" <<'PYTHON'
import glob, sys, zipfile

home = sys.argv[1]
wanted = ("tensorflow/include/tensorflow/", "tensorflow/include/tsl/", "tensorflow/include/xla/", "tensorflow/libtensorflow_")
with zipfile.ZipFile(glob.glob(home + "/*.whl")[0]) as wheel:
    wheel.extractall(home, [name for name in wheel.namelist() if name.startswith(wanted)])
PYTHON
  rm "$home"/*.whl
  echo "$tensorflow" >"$home/version"
  echo "tensorflow-cpu $tensorflow: unpacked after $SECONDS s"
fi

if ! loads; then
  echo 'tfjs_binding.node: compiling'
  libraries=$PWD/$home/tensorflow
  rm -rf "$package/deps" && mkdir -p "$package/deps/lib" "$(dirname "$addon")"
  ln -s "$libraries/include" "$package/deps/include"
  # The C API that libtensorflow would have lives in libtensorflow_cc in a wheel.
  ln -s "$libraries/libtensorflow_cc.so.2" "$package/deps/lib/libtensorflow.so"
  ln -s "$libraries/libtensorflow_cc.so.2" "$package/deps/lib/libtensorflow_cc.so.2"
  ln -s "$libraries/libtensorflow_framework.so.2" "$package/deps/lib/libtensorflow_framework.so"
  ln -s "$libraries/libtensorflow_framework.so.2" "$package/deps/lib/libtensorflow_framework.so.2"
  (
    cd "$package"
    # Pools run on threads of their own, and this set of names is the one thing that the addon's threads would share.
    sed -i 's/^static std::set<std::string> ATTR_NAME_SET/static thread_local std::set<std::string> ATTR_NAME_SET/' binding/tfjs_backend.cc
    # As binding.gyp would have it, without node-gyp, which would fetch Node's headers.
    g++ -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 \
      -I../../node-api-headers/include -I.. -Ideps/include binding/tfjs_backend.cc binding/tfjs_binding.cc \
      -o lib/napi-v8/tfjs_binding.node -Ldeps/lib -ltensorflow -ltensorflow_framework '-Wl,-rpath,$ORIGIN/../../deps/lib'
  )
  loads || fail "the addon was built, but does not load; try: node -e \"require('@tensorflow/tfjs-node')\""
fi
echo "The tensorflow backend is ready ($SECONDS s)"
