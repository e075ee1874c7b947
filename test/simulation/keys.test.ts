import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { keyAt, keyBytes, prepareKeys } from '../../src/testing/simulation/keys.ts'

test('keys are the same in every process, each another one, and as a file holds them', async () => {
  expect(() => keyAt(0)).toThrow(RangeError)
  await prepareKeys(3)
  await prepareKeys(2)
  expect(peerIdFromPrivateKey(keyAt(1)).toString()).toBe(
    '12D3KooWMo5gRbZQ4vRn2bkAA8T5BG1XXwF2pTsedRDBCuBhJQN2',
  )
  expect(keyAt(2).equals(keyAt(1))).toBe(false)
  expect(privateKeyFromProtobuf(keyBytes(1)).equals(keyAt(1))).toBe(true)
  expect(() => keyAt(3)).toThrow(RangeError)
})
