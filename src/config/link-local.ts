import { BlockList, isIP, isIPv6 } from 'node:net';

/** Where cloud machines find their own credentials, and nothing that embeds texts; an IPv4 address is found in its IPv6 forms too. */
const METADATA = new BlockList();
METADATA.addSubnet('169.254.0.0', 16, 'ipv4');
METADATA.addSubnet('fe80::', 10, 'ipv6');
METADATA.addAddress('100.100.100.200', 'ipv4');
METADATA.addAddress('192.0.0.192', 'ipv4');
METADATA.addAddress('fd00:ec2::254', 'ipv6');
METADATA.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');

const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal',
]);

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** A URL's host as `dns.lookup` and `net` take it: without brackets, and without the dot that ends a full name. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** Whether a URL's host, a name or an address, is one under which clouds serve their metadata, or link-local. */
export function isMetadataHost(host: string): boolean {
  return METADATA_NAMES.has(host.toLowerCase()) || (isIP(host) !== 0 && isMetadataAddress(host));
}

/** Whether an IP address is link-local or a cloud's metadata service. */
export function isMetadataAddress(address: string): boolean {
  // A zone, as in fe80::1%eth0, is no part of the address.
  return isIn(METADATA, address.replace(/%.*$/, ''));
}

/** Whether requests to `host` stay on this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isIn(LOOPBACK, host);
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
