/** Default ports of the services, loopback unless configured otherwise. */
export const SERVICE_PORTS = {
  upscaler: 29_115,
  compressor: 29_116,
  deleter: 29_117,
  scorer: 29_090,
} as const
