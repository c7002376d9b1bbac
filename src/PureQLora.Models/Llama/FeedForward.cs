using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The gated feed-forward network: down(silu(gate(x)) · up(x)).</summary>
/// <remarks>Shazeer, arXiv:2002.05202, eq. 6 (SwiGLU).</remarks>
public sealed class FeedForward
{
    internal FeedForward(LinearLayer gate, LinearLayer up, LinearLayer down) => (Gate, Up, Down) = (gate, up, down);

    /// <summary>gate_proj.</summary>
    public LinearLayer Gate { get; }

    /// <summary>up_proj.</summary>
    public LinearLayer Up { get; }

    /// <summary>down_proj.</summary>
    public LinearLayer Down { get; }

    /// <summary>Applies the network to each token.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, hidden]</param>
    /// <param name="endsBlock">True where y is read as the result of a checkpointed block only.</param>
    /// <returns>[…, hidden]</returns>
    public Tensor Forward(ComputeScope scope, Tensor x, bool endsBlock = false) => Down.Forward(scope, Gated(scope, x), endsBlock);

    /// <summary>What down_proj takes. […, intermediate]</summary>
    internal Tensor Gated(ComputeScope scope, Tensor x) => SwiGlu.Forward(scope, Gate.Forward(scope, x), Up.Forward(scope, x));
}
