import { SubnetError } from '../lib/errors.js'

/** Codes thrown by `workflows`. */
export type WorkflowStoreErrorData =
  /** There is no workflow of that name; the message names those there are. */
  | { code: 'WORKFLOWS_UNKNOWN'; name: string }
  /** A workflow or mapping file is not there, is no JSON or not of the right form: correct the file. */
  | { code: 'WORKFLOWS_FILE_BAD'; file: string }
  /** The workflow has no node of that class and index, or of that id: correct the mapping file. */
  | { code: 'WORKFLOWS_NODE_MISSING'; value: string }
  /** The node has no such input: correct the mapping file. */
  | { code: 'WORKFLOWS_INPUT_MISSING'; value: string; nodeId: string; input: string }
  /** The workflow's mapping has no place for this value: leave it out, or use another workflow. */
  | { code: 'WORKFLOWS_VALUE_UNMAPPED'; value: string }
  /** The value is of another type than the input's: text stays text, a number a number. */
  | { code: 'WORKFLOWS_VALUE_TYPE'; value: string; nodeId: string; input: string }

export class WorkflowStoreError extends SubnetError<WorkflowStoreErrorData> {}
