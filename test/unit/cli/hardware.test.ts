import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lacks } from '#src/cli/doctor/hardware.js'

const DEMAND = { cores: 8, memoryGib: 32, diskGib: 200, vramGib: 24 }

describe('what a host lacks', () => {
  it('forgives what vendors round up', () => {
    assert.deepEqual(lacks({ cores: 8, memoryGib: 31.2, diskGib: 187, vramGib: 23.99 }, DEMAND), [])
  })

  it('names every shortage with what is asked for', () => {
    assert.deepEqual(lacks({ cores: 7, memoryGib: 24, diskGib: 300, vramGib: 0 }, DEMAND), [
      '8 cores',
      '32 GB memory',
      '24 GB GPU memory',
    ])
  })
})
