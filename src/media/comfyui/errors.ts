import { SubnetError } from '../../lib/errors.js'

/** What may be wrong with a workflow, by code. */
export type WorkflowProblemData =
  /** The workflow is not an object of nodes: export it from ComfyUI in the API format. */
  | { code: 'WORKFLOW_NOT_A_GRAPH' }
  /** The workflow nests values deeper than the API format ever does: export it again. */
  | { code: 'WORKFLOW_NESTED_TOO_DEEP' }
  /** The workflow has more bytes as JSON than allowed: make it smaller, or raise the limit. */
  | { code: 'WORKFLOW_BYTES_EXCEEDED' }
  /** The workflow has more nodes than allowed: make it smaller, or raise the limit. */
  | { code: 'WORKFLOW_NODES_EXCEEDED' }
  /** The longest chain of linked nodes is longer than allowed: make it shorter, or raise the limit. */
  | { code: 'WORKFLOW_CHAIN_EXCEEDED' }
  /** A node id is not a short name of letters, digits, `_`, `:` and `-`: rename the node. */
  | { code: 'WORKFLOW_NODE_ID_BAD' }
  /** A node is not `{class_type, inputs, _meta?}`: export the workflow in the API format. */
  | { code: 'WORKFLOW_NODE_BAD' }
  /** The node class is not on the allow-list: use a listed class, or have the operator add a rule for it. */
  | { code: 'WORKFLOW_NODE_REFUSED' }
  /** The node class has no input of that name: remove the input. */
  | { code: 'WORKFLOW_INPUT_UNKNOWN' }
  /** An input that the node class needs is absent: add it. */
  | { code: 'WORKFLOW_INPUT_MISSING' }
  /** The value has the wrong type or is out of its range: give the value that the message asks for. */
  | { code: 'WORKFLOW_VALUE_BAD' }
  /** A plain value stands where a link to another node is needed: link it. */
  | { code: 'WORKFLOW_LINK_NEEDED' }
  /** A link stands where a plain value is needed, so that limits cannot be checked: write the value itself. */
  | { code: 'WORKFLOW_LINK_REFUSED' }
  /** The link names a node that the workflow does not have. */
  | { code: 'WORKFLOW_LINK_NODE_MISSING' }
  /** The link names an output that the other node does not have. */
  | { code: 'WORKFLOW_LINK_OUTPUT_MISSING' }
  /** The linked output is of another type than the input takes. */
  | { code: 'WORKFLOW_LINK_TYPE_WRONG' }
  /** The nodes are linked in a circle: remove one of the links. */
  | { code: 'WORKFLOW_CYCLE' }
  /** No node saves a result: add one that does, such as SaveVideo. */
  | { code: 'WORKFLOW_NO_OUTPUT' }
  /** The text is longer than allowed: shorten it, or raise the limit. */
  | { code: 'WORKFLOW_STRING_TOO_LONG' }
  /** The text holds control characters or broken Unicode: remove them. */
  | { code: 'WORKFLOW_STRING_BAD' }
  /** A file name leads out of its folder or is not a plain relative name: use a plain name. */
  | { code: 'WORKFLOW_PATH_REFUSED' }
  /** A file name asks for another folder of the server (`[output]`, `[temp]`): use an uploaded input. */
  | { code: 'WORKFLOW_PATH_ANNOTATED' }
  /** The text holds a URL where none is allowed, or one that breaks the rules for URLs: remove it. */
  | { code: 'WORKFLOW_URL_REFUSED' }
  /** The text loads an embedding file (`embedding:name`) that is not on the list of models. */
  | { code: 'WORKFLOW_EMBEDDING_REFUSED' }
  /** The model is not on the list of models: use a listed one, or have the operator add it. */
  | { code: 'WORKFLOW_MODEL_REFUSED' }
  /** The model file is of a format that can run code when it is loaded: use a safetensors or GGUF file. */
  | { code: 'WORKFLOW_MODEL_FORMAT' }
  /** An image would be wider than allowed: reduce the width, or the factors that lead to it. */
  | { code: 'WORKFLOW_WIDTH_EXCEEDED' }
  /** An image would be higher than allowed: reduce the height, or the factors that lead to it. */
  | { code: 'WORKFLOW_HEIGHT_EXCEEDED' }
  /** A node would make more frames than allowed, repeats and joins counted: reduce them. */
  | { code: 'WORKFLOW_FRAMES_EXCEEDED' }
  /** A node would hold more pixels over all its frames than allowed: reduce the size or the frames. */
  | { code: 'WORKFLOW_PIXELS_EXCEEDED' }
  /** All nodes together would hold more pixels than allowed: use fewer nodes that make images, or smaller ones. */
  | { code: 'WORKFLOW_MEMORY_EXCEEDED' }
  /** The workflow loads model files more often than allowed: load each once and link it. */
  | { code: 'WORKFLOW_MODELS_EXCEEDED' }
  /** More nodes save results than allowed: save fewer. */
  | { code: 'WORKFLOW_OUTPUTS_EXCEEDED' }
  /** The samplers of the workflow together take more steps than allowed: reduce them. */
  | { code: 'WORKFLOW_STEPS_EXCEEDED' }
  /** The batch is larger than allowed: reduce it. */
  | { code: 'WORKFLOW_BATCH_EXCEEDED' }

export type WorkflowProblemCode = WorkflowProblemData['code']

/** One thing wrong with a workflow. `nodeId` and `input` say where, if it is in one place. */
export interface WorkflowProblem {
  readonly code: WorkflowProblemCode
  readonly nodeId?: string
  readonly input?: string
  readonly message: string
}

export type WorkflowErrorData =
  /** The workflow breaks rules of this server; `problems` names each with its node and code. */
  { code: 'WORKFLOW_REFUSED'; problems: readonly WorkflowProblem[] }

export class WorkflowError extends SubnetError<WorkflowErrorData> {}

/** One thing that a ComfyUI server found wrong with a node of a prompt before it ran. */
export interface ComfyNodeError {
  readonly nodeId: string
  readonly classType: string
  /** ComfyUI's own word, such as `value_not_in_list` or `required_input_missing`. */
  readonly type: string
  readonly message: string
  readonly input?: string
}

export type ComfyErrorData =
  /** An address of a ComfyUI server cannot be used: write it as host, host:port or http(s)://host:port/path. */
  | { code: 'COMFY_SERVER_BAD'; index: number; problem: string }
  /** The file of rules for further node classes cannot be used: correct it, as docs/reference/comfyui.md says. */
  | { code: 'COMFY_NODES_BAD'; file: string }
  /** The server could not be reached, or the connection broke: see that it runs and listens there. */
  | { code: 'COMFY_UNREACHABLE'; server: string; call: string }
  /** The server did not answer a call in time: it may be overloaded. */
  | { code: 'COMFY_TIMEOUT'; server: string; call: string; timeoutMs: number }
  /** The server wants a token or refuses the one it got: set COMFYUI_TOKENS, one per server in the same order. */
  | { code: 'COMFY_UNAUTHORIZED'; server: string; call: string }
  /** The server answered with a status that the call does not expect: see the server's own log. */
  | { code: 'COMFY_STATUS'; server: string; call: string; status: number }
  /** The server's answer is not what ComfyUI sends: see that the address is one of a ComfyUI server. */
  | { code: 'COMFY_REPLY_BAD'; server: string; call: string }
  /** The server's answer or file is larger than allowed. */
  | { code: 'COMFY_TOO_LARGE'; server: string; call: string; limitBytes: number }
  /** The server refused the prompt; `errors` names each node at fault. Correct the workflow. */
  | {
      code: 'COMFY_PROMPT_REFUSED'
      server: string
      type: string
      errors: readonly ComfyNodeError[]
    }
  /** A node failed while the prompt ran. The message of the exception says why. */
  | {
      code: 'COMFY_NODE_FAILED'
      server: string
      promptId: string
      nodeId: string
      classType: string
      exception: string
    }
  /** A node ran out of memory: use a server with more, or a smaller or shorter clip. */
  | {
      code: 'COMFY_OUT_OF_MEMORY'
      server: string
      promptId: string
      nodeId: string
      classType: string
    }
  /** Somebody else interrupted the prompt or removed it from the server's queue. */
  | { code: 'COMFY_INTERRUPTED'; server: string; promptId: string }
  /** The server knows nothing of a prompt that it took: it was restarted. Run the prompt again. */
  | { code: 'COMFY_PROMPT_LOST'; server: string; promptId: string }
  /** No server has all that the workflow needs; `nodes` and `models` are what this one lacks. Install them, or leave them out. */
  | {
      code: 'COMFY_MISSING'
      server: string
      nodes: readonly { readonly nodeId: string; readonly classType: string }[]
      models: readonly {
        readonly nodeId: string
        readonly classType: string
        readonly input: string
        readonly name: string
      }[]
    }
  /** None of the servers can be reached: see that one runs, and COMFYUI_SERVERS. */
  | { code: 'COMFY_NO_SERVER'; servers: readonly string[] }
  /** The prompt did not end in its time; it was removed and interrupted. */
  | { code: 'COMFY_RUN_TIMEOUT'; server: string; promptId: string; timeoutMs: number }

/** A failure at or of a ComfyUI server. `retryable` means: another server may well succeed. */
export class ComfyError extends SubnetError<ComfyErrorData> {}
