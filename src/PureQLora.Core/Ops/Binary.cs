namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Binary"/>.</summary>
public interface IBinaryKernels
{
    /// <summary>y = f(a, b), extents of 1 repeated to those of y.</summary>
    void BinaryForward(BinaryKind kind, Tensor a, Tensor b, Tensor y);

    /// <summary>da += Σ dy · ∂f/∂a and db += Σ dy · ∂f/∂b over the repeated extents.</summary>
    void BinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor? da, Tensor? db);

    /// <summary>y = scale · x + shift.</summary>
    void Affine(Tensor x, float scale, float shift, Tensor y);
}

/// <summary>Element-wise arithmetic; shapes are aligned at the last dimension, and extents of 1 are repeated (as NumPy broadcasts).</summary>
public static class Binary
{
    /// <summary>a + b</summary>
    public static Tensor Add(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Add, a, b);

    /// <summary>a − b</summary>
    public static Tensor Subtract(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Subtract, a, b);

    /// <summary>a · b</summary>
    public static Tensor Multiply(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Multiply, a, b);

    /// <summary>a / b</summary>
    public static Tensor Divide(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Divide, a, b);

    /// <summary>factor · x</summary>
    public static Tensor Scale(ComputeScope scope, Tensor x, float factor) => Affine(scope, x, factor, 0f);

    /// <summary>x + term</summary>
    public static Tensor AddScalar(ComputeScope scope, Tensor x, float term) => Affine(scope, x, 1f, term);

    /// <summary>y = f(a, b).</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="kind">f.</param>
    /// <param name="a">Float32.</param>
    /// <param name="b">Float32.</param>
    /// <exception cref="ArgumentException">Two extents differ and neither is 1.</exception>
    public static Tensor Forward(ComputeScope scope, BinaryKind kind, Tensor a, Tensor b)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Tensor y = scope.New(Broadcast(a.Shape, b.Shape));
        scope.Backend.BinaryForward(kind, a, b, y);
        if (scope.Tracks(y, a, b))
        {
            Node node = scope.Record<Node>(y);
            (node.Kind, node.A, node.B) = (kind, a, b);
        }

        return y;
    }

    private static Tensor Affine(ComputeScope scope, Tensor x, float scale, float shift)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.Affine(x, scale, shift, y);
        if (scope.Tracks(y, x))
        {
            AffineNode node = scope.Record<AffineNode>(y);
            (node.X, node.Factor) = (x, scale);
        }

        return y;
    }

    private static Shape Broadcast(Shape a, Shape b)
    {
        int rank = Math.Max(a.Rank, b.Rank);
        Span<long> extents = stackalloc long[rank];
        for (int i = 1; i <= rank; i++)
        {
            long left = i <= a.Rank ? a[-i] : 1;
            long right = i <= b.Rank ? b[-i] : 1;
            if (left != right && left != 1 && right != 1)
            {
                throw new ArgumentException($"{a} and {b} do not fit: {left} and {right} at dimension −{i}; extents must be equal or 1.", nameof(b));
            }

            extents[rank - i] = left == 1 ? right : left;
        }

        return new Shape(extents);
    }

    private sealed class Node : TapeNode
    {
        public BinaryKind Kind { get; set; }

        public Tensor A { get; set; } = null!;

        public Tensor B { get; set; } = null!;

        public override void Backward(ComputeScope scope) =>
            scope.Backend.BinaryBackward(Kind, OutputGrad, A, B, scope.GradOf(A), scope.GradOf(B));
    }

    private sealed class AffineNode : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public float Factor { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.AddScaled(OutputGrad, Factor, scope.GradOf(X)!);
    }
}
