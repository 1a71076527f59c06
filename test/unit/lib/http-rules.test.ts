import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FetchError, parseGuardedUrl } from '#src/lib/http/index.js'

const rules = { http: true, privateAddresses: false }

function codeOf(text: string): string {
  try {
    parseGuardedUrl(text, rules)
    return 'allowed'
  } catch (error) {
    assert.ok(error instanceof FetchError, text)
    return error.code
  }
}

const REFUSED_ADDRESSES = [
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f.1/',
  'http://0177.0.0.1/',
  'http://127.0.0.1./',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/',
  'http://0.0.0.0/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://192.0.2.1/',
  'http://198.18.0.1/',
  'http://[::1]/',
  'http://[::]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:8.8.8.8]/',
  'http://[fe80::1]/',
  'http://[fc00::1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[ff02::1]/',
  'http://[2001:db8::1]/',
  'http://[64:ff9b:1::7f00:1]/',
  'http://[::127.0.0.1]/',
  'http://[100:0:0:1::1]/',
  'http://[fec0::1]/',
  'http://①②⑦.0.0.1/',
]

const REFUSED_URLS = [
  'file:///etc/passwd',
  'ftp://example.com/',
  'gopher://example.com/',
  'javascript:alert(1)',
  'data:text/plain,x',
  'http://user@example.com/',
  'http://user:pass@example.com/',
  'http://example.com:22/',
  'http://example.com:6379/',
  'http://example.com:25/',
  'nonsense',
  '',
  `http://example.com/${'a'.repeat(5000)}`,
]

const ALLOWED = [
  'https://example.com/a?b#c',
  'http://example.com/',
  'http://example.com:8091/',
  'http://8.8.8.8/',
  'https://bücher.example/',
  'http://[2606:4700::1111]/',
]

describe('URL rules', () => {
  for (const url of REFUSED_ADDRESSES) {
    it(`refuses the address in ${url}`, () => assert.equal(codeOf(url), 'FETCH_ADDRESS_REFUSED'))
  }
  for (const url of REFUSED_URLS) {
    it(`refuses ${url.slice(0, 40) || 'an empty URL'}`, () =>
      assert.equal(codeOf(url), 'FETCH_URL_REFUSED'))
  }
  for (const url of ALLOWED) {
    it(`allows ${url}`, () => assert.equal(codeOf(url), 'allowed'))
  }
  it('refuses http where only https is allowed', () => {
    assert.throws(
      () => parseGuardedUrl('http://example.com/', { ...rules, http: false }),
      FetchError,
    )
  })
})
