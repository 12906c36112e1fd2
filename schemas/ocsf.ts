import { type Finding, isGap } from './finding.ts'
import { severities } from './primitives.ts'

/** Names of the MITRE ATLAS techniques (5.6.0) that detectors cite. */
const techniques: Readonly<Record<string, string>> = {
  'AML.T0005.001': 'Train Proxy via Replication',
  'AML.T0012': 'Valid Accounts',
  'AML.T0015': 'Evade AI Model',
  'AML.T0024': 'Exfiltration via AI Inference API',
  'AML.T0024.000': 'Infer Training Data Membership',
  'AML.T0024.001': 'Invert AI Model',
  'AML.T0024.002': 'Extract AI Model',
  'AML.T0025': 'Exfiltration via Cyber Means',
  'AML.T0029': 'Denial of AI Service',
  'AML.T0034': 'Cost Harvesting',
  'AML.T0040': 'AI Model Inference API Access',
  'AML.T0042': 'Verify Attack',
  'AML.T0043': 'Craft Adversarial Data',
  'AML.T0043.001': 'Black-Box Optimization',
  'AML.T0043.002': 'Black-Box Transfer',
  'AML.T0048.004': 'AI Intellectual Property Theft',
}

/**
 * A finding as an OCSF 1.8.0 Detection Finding (class 2004): Create for its first statement, Update for later ones.
 *
 * @param product version of Cordon, for `metadata.product`
 */
export function toOcsf(finding: Finding, product: string): object {
  const activity = finding.revision === 0 ? 1 : 2
  return {
    class_uid: 2004,
    category_uid: 2,
    activity_id: activity,
    type_uid: 200_400 + activity,
    severity_id: severities.indexOf(finding.severity) + 1,
    status_id: 1,
    time: finding.time,
    is_alert: !isGap(finding),
    confidence_score: Math.round(finding.confidence * 100),
    message: finding.title,
    metadata: { version: '1.8.0', uid: `${finding.id}/${finding.revision}`, product: { name: 'Cordon', version: product } },
    finding_info: {
      uid: finding.id,
      title: finding.title,
      analytic: { uid: finding.detector, name: finding.detector, version: String(finding.version), type_id: 2 },
      attacks: finding.threats.map((uid) => ({ technique: { uid, name: techniques[uid] ?? uid }, version: '5.6.0' })),
      first_seen_time: finding.window.from,
      last_seen_time: finding.window.until,
      related_events_count: finding.eventsSeen,
    },
    ...(finding.model === null ? {} : { ai_model: { name: finding.model } }),
    evidences: [
      ...finding.principals.map((name) => ({ actor: { user: { uid: name } } })),
      ...(finding.workload === null ? [] : [{ device: { uid: finding.workload } }]),
    ],
    unmapped: finding.evidence,
  }
}
