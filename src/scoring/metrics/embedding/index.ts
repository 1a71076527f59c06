export { createEfficientNetEmbedder } from './efficientnet.js'
export { cosine, type Embedder, type Embedding } from './embedder.js'
export { createImageBindEmbedder } from './imagebind.js'
export { createPieApp, type PieApp } from './pieapp.js'
