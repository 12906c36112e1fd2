import { denyPrincipal } from './deny-principal/deny-principal.ts'
import { hardenOutput } from './harden-output/harden-output.ts'
import { quarantinePool } from './quarantine-pool/quarantine-pool.ts'
import type { ContainmentResponder } from './responder.ts'
import { rollbackModel } from './rollback-model/rollback-model.ts'
import { rotateKey } from './rotate-key/rotate-key.ts'
import { throttleCluster } from './throttle-cluster/throttle-cluster.ts'
import { throttlePrincipal } from './throttle-principal/throttle-principal.ts'

/** Every responder, from the mildest to the hardest. A new one is a folder, a test and a line here. */
export const responders: readonly ContainmentResponder[] = [
  hardenOutput,
  throttleCluster,
  throttlePrincipal,
  rotateKey,
  rollbackModel,
  quarantinePool,
  denyPrincipal,
]
