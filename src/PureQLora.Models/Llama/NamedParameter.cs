using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A trainable tensor and the name it has in files.</summary>
/// <param name="Name">Such as <c>model.layers.0.self_attn.q_proj.lora_A.weight</c>.</param>
/// <param name="Value">Float32, with its gradient.</param>
public sealed record NamedParameter(string Name, Tensor Value);
