// Child process of the dendrite bench: many axons that answer every request with the same bytes, so
// that what is measured is the caller. Sends its ports to the parent and lives until it leaves.
import { createServer } from 'node:http'

const count = Number(process.argv[2])
const reply = Buffer.from(
  JSON.stringify({
    name: 'LengthCheckProtocol',
    timeout: 12,
    axon: { status_code: 200, status_message: 'Success', ip: '127.0.0.1' },
    dendrite: {},
    max_content_length: 10,
  }),
)
const headers = {
  'content-type': 'application/json',
  'content-length': String(reply.length),
  bt_header_axon_status_code: '200',
  bt_header_axon_status_message: 'Success',
  bt_header_axon_process_time: '0.001',
}
const ports = await Promise.all(
  Array.from({ length: count }, () => {
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      request.resume().on('end', () => response.writeHead(200, headers).end(reply))
    })
    return new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(address !== null && typeof address === 'object' ? address.port : 0)
      })
    })
  }),
)
process.send?.(ports)
process.on('disconnect', () => process.exit(0))
