package schema_test

import "fmt"

var dnsRules = map[string]rule{
	"an unknown source of DNS": {
		accepts: "dns: {source: None}", refuses: "dns: {source: Discovered}", field: "spec.dns.source", says: `supported values: "Static", "None"`,
	},
	"no DNS peers": {
		accepts: "dns: {static: {peers: [{namespace: dns}]}}", refuses: "dns: {static: {peers: []}}",
		field: "spec.dns.static.peers", says: "write at least one peer, or dns.source: None for no DNS policy",
	},
	"17 DNS peers": {
		accepts: "dns: {static: {peers: " + list(16, always("{namespace: dns}")) + "}}",
		refuses: "dns: {static: {peers: " + list(17, always("{namespace: dns}")) + "}}",
		field:   "spec.dns.static.peers", says: atMostItems(16),
	},
	"a DNS peer with both namespace and cidr": peer("{namespace: dns}", "{namespace: dns, cidr: 10.0.0.0/8}", "", saysOnePeer),
	"a DNS peer with neither":                 peer("{cidr: 10.0.0.0/8}", "{}", "", saysOnePeer),
	"a podSelector beside a cidr": peer("{namespace: dns, podSelector: {}}", "{cidr: 10.0.0.0/8, podSelector: {}}",
		".podSelector", "podSelector chooses pods of a namespace: write namespace beside it, or remove it"),
	"a podSelector alone": {
		accepts: "dns: {static: {peers: [{namespace: dns, podSelector: {}}]}}", refuses: "dns: {static: {peers: [{podSelector: {}}]}}",
		field: "spec.dns.static.peers[0].podSelector", says: "write namespace beside it, or remove it", also: 1,
	},
	"all three in a DNS peer":                  peer("{namespace: dns, podSelector: {}}", "{namespace: dns, cidr: 10.0.0.0/8, podSelector: {}}", "", saysOnePeer),
	"a DNS namespace in upper case":            peer("{namespace: kube-dns}", "{namespace: Kube-DNS}", ".namespace", saysNamespace),
	"a DNS namespace that begins with a dash":  peer("{namespace: dns}", "{namespace: -dns}", ".namespace", saysNamespace),
	"a DNS namespace given as a pattern":       peer("{namespace: dns}", "{namespace: 'dns*'}", ".namespace", saysNamespace),
	"a DNS namespace with a dot":               peer("{namespace: dns-a}", "{namespace: dns.a}", ".namespace", saysNamespace),
	"a DNS namespace of 64 characters":         peer("{namespace: "+repeat(63)+"}", "{namespace: "+repeat(64)+"}", ".namespace", atMostBytes(63)),
	"an empty DNS namespace":                   withOneMore(peer("{namespace: a}", "{namespace: ''}", ".namespace", atLeastOneByte)),
	"an empty cidr":                            withOneMore(peer("{cidr: '::/0'}", "{cidr: ''}", ".cidr", atLeastOneByte)),
	"an address without a prefix length":       cidr("10.0.0.10/32", "10.0.0.10", saysNoRange),
	"an IPv6 address without a prefix length":  cidr("fd00::a/128", "fd00::a", saysNoRange),
	"a prefix length without an address":       cidr("0.0.0.0/0", "/0", saysNoRange),
	"a netmask in place of a prefix length":    cidr("10.0.0.0/8", "10.0.0.0/255.0.0.0", saysNoRange),
	"an IPv4 prefix length of 33":              cidr("10.0.0.0/32", "10.0.0.0/33", saysNoRange),
	"an IPv6 prefix length of 129":             cidr("fd00::/128", "fd00::/129", saysNoRange),
	"a negative prefix length":                 cidr("0.0.0.0/0", "0.0.0.0/-1", saysNoRange),
	"leading zeros in an address":              cidr("10.0.0.0/8", "010.0.0.0/8", saysNoRange),
	"leading zeros in a prefix length":         cidr("10.0.0.0/8", "10.0.0.0/08", saysNoRange),
	"a number above 255 in an address":         cidr("10.255.0.0/16", "10.256.0.0/16", saysNoRange),
	"an address of three numbers":              cidr("10.0.0.0/24", "10.0.0/24", saysNoRange),
	"an IPv4 address in IPv6 form":             cidr("10.0.0.0/8", "::ffff:10.0.0.0/104", saysNoRange),
	"an IPv4 address in hexadecimal IPv6 form": cidr("64:ff9b::a00:0/104", "::ffff:a00:0/104", saysNoRange),
	"an address with a zone":                   cidr("fe80::1/128", "fe80::1%eth0/128", saysNoRange),
	"the name of a host":                       cidr("169.254.20.10/32", "dns.example.com/32", saysNoRange),
	"a list of ranges in one":                  cidr("10.0.0.0/8", "10.0.0.0/8,fd00::/8", saysNoRange),
	"an unmasked IPv4 range":                   cidr("10.0.0.0/8", "10.0.0.1/8", saysNotFirst),
	"an unmasked IPv4 range of two addresses":  cidr("10.0.0.2/31", "10.0.0.3/31", saysNotFirst),
	"an unmasked IPv4 range of everything":     cidr("0.0.0.0/0", "10.0.0.0/0", saysNotFirst),
	"an unmasked IPv6 range":                   cidr("fd00::/64", "fd00::1/64", saysNotFirst),
	"an unmasked IPv6 range of two addresses":  cidr("fd00::2/127", "fd00::3/127", saysNotFirst),
	"a cidr longer than any can be": cidr("fd00:0000:0000:0000:0000:0000:0000:0001/128", "fd00:0000:0000:0000:0000:0000:0000:00001/128",
		atMostBytes(43)),
}

func peer(accepts, refuses, field, says string) rule {
	return rule{
		accepts: "dns: {static: {peers: [" + accepts + "]}}", refuses: "dns: {static: {peers: [" + refuses + "]}}",
		field: "spec.dns.static.peers[0]" + field, says: says,
	}
}

func cidr(accepts, refuses, says string) rule {
	return peer("{cidr: '"+accepts+"'}", "{cidr: '"+refuses+"'}", ".cidr", says)
}

func withOneMore(r rule) rule {
	r.also++
	return r
}

var portRules = map[string]rule{
	"no DNS ports": {
		accepts: "dns: {static: {ports: [{protocol: UDP, port: 53}]}}", refuses: "dns: {static: {ports: []}}",
		field: "spec.dns.static.ports", says: "write at least one port, such as {protocol: UDP, port: 53}",
	},
	"nine DNS ports": {
		accepts: "dns: {static: {ports: " + list(8, someDNSPort) + "}}", refuses: "dns: {static: {ports: " + list(9, someDNSPort) + "}}",
		field: "spec.dns.static.ports", says: atMostItems(8),
	},
	"port 0":                      port("{protocol: UDP, port: 1}", "{protocol: UDP, port: 0}", ".port", atLeast(1)),
	"port 65536":                  port("{protocol: UDP, port: 65535}", "{protocol: UDP, port: 65536}", ".port", atMost(65535)),
	"a DNS port without number":   port("{protocol: UDP, port: 53}", "{protocol: UDP}", ".port", "Required value"),
	"a DNS port by name":          port("{protocol: UDP, port: 53}", "{protocol: UDP, port: dns}", ".port", "must be of type integer"),
	"a DNS port without protocol": port("{protocol: TCP, port: 53}", "{port: 53}", ".protocol", "Required value"),
	"an unknown protocol":         port("{protocol: TCP, port: 53}", "{protocol: SCTP, port: 53}", ".protocol", `supported values: "UDP", "TCP"`),
}

func someDNSPort(i int) string { return fmt.Sprintf("{protocol: TCP, port: %d}", 53+i) }

func port(accepts, refuses, field, says string) rule {
	return rule{
		accepts: "dns: {static: {ports: [" + accepts + "]}}", refuses: "dns: {static: {ports: [" + refuses + "]}}",
		field: "spec.dns.static.ports[0]" + field, says: says,
	}
}
