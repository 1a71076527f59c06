import { isAbort } from '../../lib/errors.js'
import { FetchError, parseGuardedUrl, type UrlRules } from '../../lib/http/index.js'
import type { WorkflowProblemCode } from './errors.js'

/** A code and what to say, or undefined when nothing is wrong. */
export type Finding = readonly [code: WorkflowProblemCode, message: string] | undefined

const MAX_NAME_LENGTH = 255
/** Pickles run code when they are loaded; these formats hold numbers alone. */
const SAFE_MODEL = /\.(safetensors|sft|gguf)$/i
const URL_IN_TEXT = /[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]*|\b(?:data|file|javascript|blob):\S+/gi
/** ComfyUI's tokenizer loads a file for each of these words, up to the next space. */
const EMBEDDING = /embedding:\s*([^\s,)]*)/gi

/** Control characters other than tab and line ends, or half of a surrogate pair. */
export function checkCharacters(text: string): Finding {
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    const control = (point < 32 && ![9, 10, 13].includes(point)) || (point >= 127 && point < 160)
    if (control || (point >= 0xd800 && point <= 0xdfff)) {
      return ['WORKFLOW_STRING_BAD', `character U+${point.toString(16)} is not allowed`]
    }
  }
  return undefined
}

/** Characters that some systems and readers take for a dot, a slash or a backslash. */
const LOOKALIKE =
  /[\u2024-\u2026\u2044\u2215\u2216\u29f5\u29f8\u29f9\ufe52\ufe68\uff0e\uff0f\uff3c]/u
/** What changes how a name is shown, or is no character at all. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/u
/** Windows opens a device for these, whatever the folder and the extension. */
const DEVICE = /^(con|prn|aux|nul|(com|lpt)[\d\u00b9\u00b2\u00b3])\s*(\.|$)/i

/** URLs anywhere in `text`: none without `rules`, and with them each must pass. */
export function checkUrls(text: string, rules: UrlRules | undefined): Finding {
  for (const [url] of text.matchAll(URL_IN_TEXT)) {
    if (rules === undefined) return ['WORKFLOW_URL_REFUSED', 'URLs are not allowed in workflows']
    const finding = checkUrl(url, rules)
    if (finding !== undefined) return finding
  }
  return undefined
}

/** A value that is a URL as a whole. */
export function checkUrl(url: string, rules: UrlRules | undefined): Finding {
  if (rules === undefined) return ['WORKFLOW_URL_REFUSED', 'URLs are not allowed in workflows']
  try {
    parseGuardedUrl(url, rules)
    return undefined
  } catch (error) {
    if (isAbort(error) || !(error instanceof FetchError)) throw error
    return ['WORKFLOW_URL_REFUSED', error.message]
  }
}

/** A plain relative name, as ComfyUI would join it to one of its folders. */
export function checkName(name: string): Finding {
  const refuse = (message: string): Finding => ['WORKFLOW_PATH_REFUSED', message]
  if (name.trim() === '') return refuse('the name is empty')
  if (name.length > MAX_NAME_LENGTH) {
    return ['WORKFLOW_STRING_TOO_LONG', `a name may have ${MAX_NAME_LENGTH} characters`]
  }
  // folder_paths.annotated_filepath: a name ending so is looked up in another folder.
  if (/\[[a-z]*\]\s*$/i.test(name)) {
    return ['WORKFLOW_PATH_ANNOTATED', 'only uploaded inputs may be read']
  }
  if (name !== name.trim() || /[\n\r\t]/.test(name)) return refuse('the name has outer spaces')
  if (/^[/~]/.test(name)) return refuse('the name is absolute')
  if (/[\\:*?"<>|$`]/.test(name)) return refuse('the name has a character that names may not have')
  if (/%(2e|2f|5c|00)/i.test(name)) return refuse('the name has an encoded separator')
  if (LOOKALIKE.test(name)) return refuse('the name has a character that looks like a separator')
  if (INVISIBLE.test(name)) return refuse('the name has a character that cannot be seen')
  for (const part of name.split('/')) {
    if (DEVICE.test(part)) return refuse('a part of the path is the name of a device')
    if (part === '' || /^\.+$/.test(part)) return refuse('a part of the path is empty or only dots')
    if (part.startsWith('.') || /[. ]$/.test(part)) {
      return refuse('a part of the path begins with a dot, or ends with one or a space')
    }
  }
  return undefined
}

/** A model's file name: on the list, or with `any` of a format that cannot run code. */
export function checkModel(name: string, models: ReadonlySet<string> | 'any'): Finding {
  const finding = checkName(name)
  if (finding !== undefined) return finding
  if (models !== 'any') {
    return models.has(name) ? undefined : ['WORKFLOW_MODEL_REFUSED', 'the model is not on the list']
  }
  return SAFE_MODEL.test(name)
    ? undefined
    : ['WORKFLOW_MODEL_FORMAT', 'use a .safetensors, .sft or .gguf file']
}

/** Prose. It may not load embeddings but those on the list of models. */
export function checkText(text: string, models: ReadonlySet<string> | 'any'): Finding {
  for (const [, name = ''] of text.matchAll(EMBEDDING)) {
    if (models === 'any' || !models.has(name)) {
      return ['WORKFLOW_EMBEDDING_REFUSED', 'the embedding is not on the list of models']
    }
  }
  return undefined
}
