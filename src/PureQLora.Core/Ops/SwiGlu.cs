namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="SwiGlu"/>.</summary>
public interface ISwiGluKernels
{
    /// <summary>y = gate · sigmoid(gate) · up, element by element.</summary>
    void SwiGluForward(Tensor gate, Tensor up, Tensor y);

    /// <summary>
    /// With σ = sigmoid(gate): dGate += dy · up · σ · (1 + gate · (1 − σ)); dUp += dy · gate · σ; each written instead where its target says so.
    /// </summary>
    void SwiGluBackward(Tensor dy, Tensor gate, Tensor up, GradientTarget dGate, GradientTarget dUp);
}

/// <summary>The gated unit of LLaMA's feed-forward network: y = silu(gate) · up with silu(x) = x · sigmoid(x).</summary>
/// <remarks>Shazeer, arXiv:2002.05202, eq. 5 (the product in the parentheses of FFN_SwiGLU).</remarks>
public static class SwiGlu
{
    /// <summary>Applies the gate.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="gate">[…, intermediate]</param>
    /// <param name="up">The shape of gate.</param>
    /// <returns>The shape of gate.</returns>
    /// <exception cref="ArgumentException">Shapes differ.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor gate, Tensor up)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(up);
        if (gate.Shape != up.Shape)
        {
            throw new ArgumentException($"The gate is {gate.Shape} but up is {up.Shape}; they must be equal.", nameof(up));
        }

        Tensor y = scope.New(gate.Shape);     // […, intermediate]
        scope.Backend.SwiGluForward(gate, up, y);
        if (scope.Tracks(y, gate, up))
        {
            Node node = scope.Record<Node>(y);
            (node.Gate, node.Up) = (gate, up);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor Gate { get; set; } = null!;

        public Tensor Up { get; set; } = null!;

        public override void Backward(ComputeScope scope) =>
            scope.Backend.SwiGluBackward(OutputGrad, Gate, Up, scope.GradTargetOf(Gate), scope.GradTargetOf(Up));
    }
}
