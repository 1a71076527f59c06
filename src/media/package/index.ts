export {
  type FileFacts,
  factsOf,
  type PackageMetadata,
  packageMetadataSchema,
} from './facts.js'
export {
  entryName,
  extensionOf,
  filesOf,
  isPlainName,
  type OutputFile,
  outputsOf,
} from './files.js'
export {
  isPackage,
  PACKAGE_LIMITS,
  type PackageLimits,
  type ReadPackage,
  readPackage,
} from './read.js'
export { writePackage } from './write.js'
