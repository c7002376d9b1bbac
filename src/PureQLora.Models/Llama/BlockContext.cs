using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What every block of one forward pass shares.</summary>
/// <param name="Positions">Int32 [batch, seq], for rotary embedding.</param>
/// <param name="Segments">Int32 [batch, keys] or null; see <see cref="AttentionMask"/>.</param>
/// <param name="Rotary">Cosines and sines.</param>
/// <param name="Cache">Keys and values of earlier tokens, or null.</param>
public readonly record struct BlockContext(Tensor Positions, Tensor? Segments, RotaryTable Rotary, KeyValueCache? Cache);
