"""The model as it is served: encoders, network and decision rule, in need of nothing else of ours.

Registration ships this folder beside the weights and loads it under another name, with the project off
the path. So it imports relatively within itself, and otherwise only numpy, pandas, torch and safetensors.
"""
