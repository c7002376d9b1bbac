namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="RotaryEmbedding"/>.</summary>
public interface IRotaryEmbeddingKernels
{
    /// <summary>With c, s the table's row of the token's position: y[i] = x[i]·c[i] − x[i+D/2]·s[i], y[i+D/2] = x[i+D/2]·c[i] + x[i]·s[i].</summary>
    /// <param name="x">[batch, seq, heads, headDim]</param>
    /// <param name="positions">Int32 [batch, seq]</param>
    /// <param name="table">Cosines and sines.</param>
    /// <param name="y">The shape of x.</param>
    /// <exception cref="ArgumentOutOfRangeException">A position is negative or beyond the table.</exception>
    void RotaryEmbeddingForward(Tensor x, Tensor positions, RotaryTable table, Tensor y);

    /// <summary>dx += dy turned the other way, the transpose of forward's matrix; written instead where the target says so.</summary>
    void RotaryEmbeddingBackward(Tensor dy, Tensor positions, RotaryTable table, GradientTarget dx);
}

/// <summary>
/// Rotary position embedding in the rotate-half convention, which pairs element i of a head with element i + D/2:
/// y = x · cos + rotate_half(x) · sin with rotate_half(x) = (−x₂, x₁) for the halves x₁, x₂ of a head.
/// </summary>
/// <remarks>Su et al., arXiv:2104.09864, eq. 34, with the pairing of Hugging Face's checkpoints.</remarks>
public static class RotaryEmbedding
{
    /// <summary>Turns every head of every token by its position.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[batch, seq, heads, headDim]</param>
    /// <param name="positions">Int32 [batch, seq], each below the table's number of positions.</param>
    /// <param name="table">Cosines and sines for heads of this dimension.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentException">Shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A position is negative or beyond the table.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Tensor positions, RotaryTable table)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(positions);
        ArgumentNullException.ThrowIfNull(table);
        if (x.Shape.Rank != 4 || x.Shape[3] != table.HeadDim)
        {
            throw new ArgumentException($"x is {x.Shape}, the table needs [batch, seq, heads, {table.HeadDim}].", nameof(x));
        }

        if (positions.Shape != new Shape(x.Shape[0], x.Shape[1]))
        {
            throw new ArgumentException($"Positions are {positions.Shape}, x of {x.Shape} needs [{x.Shape[0]}, {x.Shape[1]}].", nameof(positions));
        }

        Tensor y = scope.New(x.Shape);        // [batch, seq, heads, headDim]
        scope.Backend.RotaryEmbeddingForward(x, positions, table, y);
        if (scope.Tracks(y, x, positions, table.Cos, table.Sin))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Positions, node.Table) = (x, positions, table);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Tensor Positions { get; set; } = null!;

        public RotaryTable Table { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            GradientTarget dx = scope.GradTargetOf(X);
            if (dx.Tensor is not null)
            {
                scope.Backend.RotaryEmbeddingBackward(OutputGrad, Positions, Table, dx);
            }
        }
    }
}
