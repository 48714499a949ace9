"""The record that people read: pages whose every figure is drawn from the evidence by hash and pointer."""
