namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Binary"/>.</summary>
public interface IBinaryKernels
{
    /// <summary>y = f(a, b), element by element; a and b are repeated along the axes where they have one element and y has more.</summary>
    /// <param name="kind">f.</param>
    /// <param name="a">Broadcastable to y.</param>
    /// <param name="b">Broadcastable to y.</param>
    /// <param name="y">The common shape.</param>
    void BinaryForward(BinaryKind kind, Tensor a, Tensor b, Tensor y);

    /// <summary>da += Σ dy · ∂f/∂a and db += Σ dy · ∂f/∂b, summed over the axes along which the operand was repeated.</summary>
    void BinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor? da, Tensor? db);

    /// <summary>y = factor · x + term.</summary>
    void Affine(Tensor x, float factor, float term, Tensor y);
}

/// <summary>
/// Arithmetic on two Float32 tensors, element by element. Shapes are aligned at the last axis; where one has a single element, or no
/// such axis, it is repeated (the broadcasting of NumPy).
/// </summary>
public static class Binary
{
    /// <summary>y = a + b.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="a">Any shape.</param>
    /// <param name="b">A shape that goes with it.</param>
    /// <param name="endsBlock">True where y is read as the result of a checkpointed block only (<see cref="ComputeScope.ResultUnread"/>).</param>
    /// <exception cref="ArgumentException">The shapes do not go together.</exception>
    public static Tensor Add(ComputeScope scope, Tensor a, Tensor b, bool endsBlock = false) => Forward(scope, BinaryKind.Add, a, b, endsBlock);

    /// <summary>y = a − b.</summary>
    /// <exception cref="ArgumentException">The shapes do not go together.</exception>
    public static Tensor Subtract(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Subtract, a, b);

    /// <summary>y = a · b.</summary>
    /// <exception cref="ArgumentException">The shapes do not go together.</exception>
    public static Tensor Multiply(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Multiply, a, b);

    /// <summary>y = a / b.</summary>
    /// <exception cref="ArgumentException">The shapes do not go together.</exception>
    public static Tensor Divide(ComputeScope scope, Tensor a, Tensor b) => Forward(scope, BinaryKind.Divide, a, b);

    /// <summary>y = factor · x.</summary>
    public static Tensor Scale(ComputeScope scope, Tensor x, float factor) => Affine(scope, x, factor, 0f);

    /// <summary>y = x + term.</summary>
    public static Tensor AddScalar(ComputeScope scope, Tensor x, float term) => Affine(scope, x, 1f, term);

    /// <summary>y = factor · x + term.</summary>
    public static Tensor Affine(ComputeScope scope, Tensor x, float factor, float term)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.Affine(x, factor, term, y);
        if (scope.Tracks(y, x))
        {
            AffineNode node = scope.Record<AffineNode>(y);
            (node.X, node.Factor) = (x, factor);
        }

        return y;
    }

    /// <summary>The shape that both can be repeated to.</summary>
    /// <exception cref="ArgumentException">An axis has two different extents, neither of them 1.</exception>
    public static Shape Broadcast(Shape a, Shape b)
    {
        int rank = Math.Max(a.Rank, b.Rank);
        Span<long> extents = stackalloc long[rank];
        for (int fromEnd = 1; fromEnd <= rank; fromEnd++)
        {
            long left = fromEnd <= a.Rank ? a[-fromEnd] : 1;
            long right = fromEnd <= b.Rank ? b[-fromEnd] : 1;
            if (left != right && left != 1 && right != 1)
            {
                throw new ArgumentException(
                    $"{a} and {b} do not go together: counted from the last axis, extents must be equal or one of them 1, here {left} meets {right}.", nameof(b));
            }

            extents[^fromEnd] = left == 1 ? right : left;
        }

        return new Shape(extents);
    }

    private static Tensor Forward(ComputeScope scope, BinaryKind kind, Tensor a, Tensor b, bool endsBlock = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Tensor y = scope.New(a.Shape == b.Shape ? a.Shape : Broadcast(a.Shape, b.Shape));
        if (!endsBlock || !scope.ResultUnread)
        {
            scope.Backend.BinaryForward(kind, a, b, y);
        }

        if (scope.Tracks(y, a, b))
        {
            Node node = scope.Record<Node>(y);
            (node.Kind, node.A, node.B) = (kind, a, b);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public BinaryKind Kind { get; set; }

        public Tensor A { get; set; } = null!;

        public Tensor B { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            if (Kind == BinaryKind.Add && A.Shape == B.Shape)
            {
                // The second operand's share first: handing on gives the memory away.
                scope.CopyGrad(OutputGrad, B);
                scope.HandOnGrad(OutputGrad, A);
                return;
            }

            scope.Backend.BinaryBackward(Kind, OutputGrad, A, B, scope.GradOf(A), scope.GradOf(B));
        }
    }

    private sealed class AffineNode : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public float Factor { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.AddScaled(OutputGrad, Factor, scope.GradOf(X)!);
    }
}
