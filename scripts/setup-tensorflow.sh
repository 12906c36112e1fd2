#!/usr/bin/env bash
# Installs the native TensorFlow backend of the model runtime: npm's @tensorflow/tfjs-node, its addon compiled
# here against the libraries in PyPI's tensorflow-cpu wheel. (What the package's own install script downloads
# is TensorFlow 2.9, from a host that many networks do not let through.)
#
# `npm run setup:tensorflow -- --gpu` installs tfjs-node-gpu in the same way, against PyPI's tensorflow wheel and NVIDIA's CUDA
# libraries, which TensorFlow looks for beside itself (6 GB in .tensorflow/gpu/); NVIDIA's driver is the machine's own.
#
# Needs Linux on x64, g++, and Python 3 with pip. Writes to node_modules/ and .tensorflow/cpu/ (about 0.9 GB), both ignored by
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

name=@tensorflow/tfjs-node
wheel=tensorflow-cpu
home=.tensorflow/cpu
cuda=()
if [ "${1:-}" = --gpu ]; then
  name=@tensorflow/tfjs-node-gpu
  wheel=tensorflow
  wheel_sha256=9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124
  home=.tensorflow/gpu
  # What tensorflow[and-cuda] 2.21.0 asks for.
  cuda=(
    nvidia-cublas-cu12==12.9.3.13:d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72
    nvidia-cuda-cupti-cu12==12.8.90:ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182
    nvidia-cuda-nvcc-cu12==12.9.86:5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0
    nvidia-cuda-nvrtc-cu12==12.9.86:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4
    nvidia-cuda-runtime-cu12==12.9.79:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
    nvidia-cudnn-cu12==9.28.0.42:9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375
    nvidia-cufft-cu12==11.4.1.4:c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28
    nvidia-curand-cu12==10.3.10.19:49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e
    nvidia-cusolver-cu12==11.7.5.82:15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88
    nvidia-cusparse-cu12==12.5.10.65:73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78
    nvidia-nccl-cu12==2.32.3:bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c
    nvidia-nvjitlink-cu12==12.9.86:e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9
  )
fi
package=node_modules/$name
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
    "const tf = require('$name'); if (tf.getBackend() !== 'tensorflow') process.exit(1)" >/dev/null 2>&1
}

[ "$(uname -sm)" = 'Linux x86_64' ] || fail "there is a recipe for Linux on x86_64 only, this is $(uname -sm)"
[ -d node_modules/@tensorflow/tfjs-core ] || fail 'run npm ci first'
command -v g++ >/dev/null || fail 'g++ is needed: install a C++ compiler'

if ! installed "$package" "$tfjs" || ! installed "$package/node_modules/node-api-headers" "$napi_headers"; then
  echo "$name $tfjs: installing"
  # Elsewhere first, and then beside what is there: `npm install` here would take away what package.json does not ask for, such as
  # the other of the two variants, or the packages of setup:webgpu.
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  echo '{ "private": true }' >"$stage/package.json"
  npm install --prefix "$stage" --ignore-scripts --no-audit --no-fund --loglevel=error \
    "$name@$tfjs" "node-api-headers@$napi_headers"
  # One copy of what the runtime itself imports, or models and backend would not know each other's tensors.
  for shared in node_modules/@tensorflow/*; do
    case "$shared" in */tfjs-node*) ;; *) rm -rf "$stage/$shared" ;; esac
  done
  rm -rf "$package" && mv "$stage/$package" "$package"
  # What it needs goes within it.
  mv "$stage/node_modules" "$package/node_modules"
  echo "$name $tfjs: installed after $SECONDS s"
fi

if [ "$(cat "$home/version" 2>/dev/null)" != "$tensorflow" ]; then
  echo "$wheel $tensorflow: fetching its wheel"
  rm -rf "$home" && mkdir -p "$home"
  for pinned in "$wheel==$tensorflow:$wheel_sha256" "${cuda[@]}"; do
    echo "${pinned%:*} --hash=sha256:${pinned##*:}"
  done >"$home/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_12_x86_64 \
    --python-version "$python_version" --dest "$home" --requirement "$home/requirements.txt"
  python3 - "$home" <<'PYTHON'
import glob, sys, zipfile

home = sys.argv[1]
wanted = ("tensorflow/include/tensorflow/", "tensorflow/include/tsl/", "tensorflow/include/xla/", "tensorflow/libtensorflow_", "nvidia/")
for path in glob.glob(home + "/*.whl"):
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(home, [name for name in wheel.namelist() if name.startswith(wanted)])
PYTHON
  rm "$home"/*.whl
  echo "$tensorflow" >"$home/version"
  echo "$wheel $tensorflow: unpacked after $SECONDS s"
fi

if ! loads; then
  echo 'tfjs_binding.node: compiling'
  libraries=$PWD/$home/tensorflow
  rm -rf "$package/deps" && mkdir -p "$package/deps/lib" "$(dirname "$addon")"
  ln -s "$libraries/include" "$package/deps/include"
  # TensorFlow looks for CUDA here, seen from deps/lib.
  if [ ${#cuda[@]} -gt 0 ]; then ln -s "$PWD/$home/nvidia" "$package/deps/nvidia"; fi
  # The C API that libtensorflow would have lives in libtensorflow_cc in a wheel.
  ln -s "$libraries/libtensorflow_cc.so.2" "$package/deps/lib/libtensorflow.so"
  ln -s "$libraries/libtensorflow_cc.so.2" "$package/deps/lib/libtensorflow_cc.so.2"
  ln -s "$libraries/libtensorflow_framework.so.2" "$package/deps/lib/libtensorflow_framework.so"
  ln -s "$libraries/libtensorflow_framework.so.2" "$package/deps/lib/libtensorflow_framework.so.2"
  (
    cd "$package"
    # Pools run on threads of their own, and this set of names is the one thing that the addon's threads would share.
    sed -i 's/^static std::set<std::string> ATTR_NAME_SET/static thread_local std::set<std::string> ATTR_NAME_SET/' binding/tfjs_backend.cc
    # Never unloaded: TensorFlow's own threads outlive the last thread that had the addon, and would run into what is gone.
    # As binding.gyp would have it, without node-gyp, which would fetch Node's headers.
    g++ -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 \
      -Inode_modules/node-api-headers/include -I.. -Ideps/include binding/tfjs_backend.cc binding/tfjs_binding.cc \
      -o lib/napi-v8/tfjs_binding.node -Ldeps/lib -ltensorflow -ltensorflow_framework -Wl,-z,nodelete '-Wl,-rpath,$ORIGIN/../../deps/lib'
  )
  loads || fail "the addon was built, but does not load; try: node -e \"require('$name')\""
fi
echo "The tensorflow backend is ready ($SECONDS s)"
