namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Cast"/>.</summary>
public interface ICastKernels
{
    /// <summary>y = x in the type of y: Float32 to BFloat16, and BFloat16 or Float16 to Float32.</summary>
    /// <exception cref="ArgumentException">Another pair of types.</exception>
    void Cast(Tensor x, Tensor y);
}

/// <summary>The same numbers in another floating type.</summary>
public static class Cast
{
    /// <summary>y = x, rounded to nearest (ties to even) where the type is narrower. The gradient passes unchanged and is Float32.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Float32, BFloat16 or Float16.</param>
    /// <param name="type">Float32 or BFloat16; if it is the type of x, x itself is returned.</param>
    /// <exception cref="ArgumentException">There is no such conversion.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, DataType type)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (x.DataType == type)
        {
            return x;
        }

        bool possible = type == DataType.Float32 ? x.DataType.IsFloating() : type == DataType.BFloat16 && x.DataType == DataType.Float32;
        if (!possible)
        {
            throw new ArgumentException($"{x} cannot be cast to {type}; allowed are Float32 to BFloat16, and BFloat16 or Float16 to Float32.", nameof(type));
        }

        Tensor y = scope.New(x.Shape, type);
        scope.Backend.Cast(x, y);
        if (scope.Tracks(y, x))
        {
            scope.Record<Node>(y).X = x;
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.HandOnGrad(OutputGrad, X);
    }
}
