/** Python writes numbers that JSON does not have; custom nodes use them for limits. */
const NOT_JSON = /("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b/g

/** What Python's `json` wrote, with null for NaN and Infinity; undefined for what is no JSON at all. */
export function readPythonJson(text: string): unknown {
  return parse(text) ?? parse(text.replaceAll(NOT_JSON, (_all, string) => string ?? 'null'))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
