#!/usr/bin/env bash
# Installs the WebGPU backend of the model runtime: npm's @tensorflow/tfjs-backend-webgpu, and webgpu, which is Dawn as an addon
# of Node and uses the machine's Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows).
#
# Writes to node_modules/, which git ignores; package.json and package-lock.json stay as they are. Run again after `npm ci`, which
# removes the packages. A Linux without a GPU can compute in software, for tests, with a Vulkan driver such as SwiftShader:
# apt-get install chromium, VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json.
set -euo pipefail
cd "$(dirname "$0")/.."

tfjs=4.22.0
dawn=0.6.2
PATH="$PWD/node_modules/.bin:$PATH"

fail() {
  echo "setup-webgpu: $*" >&2
  exit 1
}

installed() {
  [ "$(node -p "require('./node_modules/$1/package.json').version" 2>/dev/null)" = "$2" ]
}

[ -d node_modules/@tensorflow/tfjs-core ] || fail 'run npm ci first'

# Unpacked beside what is there: `npm install` would put other optional packages, such as a compiled tfjs-node, back or away.
place() {
  local package=$1 version=$2 folder=node_modules/$1 download
  installed "$package" "$version" && return
  download=$(mktemp -d)
  npm pack --silent --pack-destination "$download" "$package@$version" >/dev/null
  rm -rf "$folder" && mkdir -p "$folder"
  tar -xzf "$download"/*.tgz -C "$folder" --strip-components=1
  rm -rf "$download"
  echo "$package $version: installed after $SECONDS s"
}

place @tensorflow/tfjs-backend-webgpu "$tfjs"
place webgpu "$dawn"

node --input-type=module -e "
import { create } from 'webgpu'
const adapter = await create([]).requestAdapter()
if (adapter === null) process.exit(3)
console.log('WebGPU device:', adapter.info.description || adapter.info.device || adapter.info.vendor)
process.exit(0)" || fail 'no WebGPU device was found: install a Vulkan driver (its first lines say how to have one in software)'
echo "The webgpu backend is ready ($SECONDS s)"
