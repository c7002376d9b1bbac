namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Cast"/>.</summary>
public interface ICastKernels
{
    /// <summary>y = x in the type of y; to BFloat16 rounds to nearest, ties to even; to Float32 is exact.</summary>
    void Cast(Tensor x, Tensor y);
}

/// <summary>Another floating type. The gradient of a tensor is Float32 whatever its type, and passes through unchanged.</summary>
public static class Cast
{
    /// <summary>Converts between Float32 and BFloat16, and from Float16 to Float32.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Floating.</param>
    /// <param name="type">Float32 or BFloat16.</param>
    /// <exception cref="ArgumentException">There is no such conversion.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, DataType type)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (x.DataType == type)
        {
            return x;
        }

        if (!x.DataType.IsFloating() || !(type == DataType.Float32 || (type == DataType.BFloat16 && x.DataType == DataType.Float32)))
        {
            throw new ArgumentException($"{x.DataType} cannot be cast to {type}; casts go between Float32 and BFloat16, and from Float16 to Float32.", nameof(type));
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

        public override void Backward(ComputeScope scope) => scope.Backend.AddScaled(OutputGrad, 1f, scope.GradOf(X)!);
    }
}
