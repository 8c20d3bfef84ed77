"""The source `bpf` and the libbpf binding that it is built on."""
