namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="MatMul"/>.</summary>
public interface IMatMulKernels
{
    /// <summary>c = or += alpha · op(a) · op(b), batch by batch.</summary>
    /// <param name="a">[…, m, k], or […, k, m] if transposed; a plain matrix serves every batch.</param>
    /// <param name="transposeA">Take a transposed.</param>
    /// <param name="b">[…, k, n], or […, n, k] if transposed; a plain matrix serves every batch.</param>
    /// <param name="transposeB">Take b transposed.</param>
    /// <param name="alpha">Factor on the product.</param>
    /// <param name="accumulate">Add to c instead of overwriting it.</param>
    /// <param name="c">[…, m, n]; a plain matrix sums over the batches.</param>
    /// <param name="precision">Rounding of the operands.</param>
    void MatMul(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision);
}

/// <summary>Matrix product over the last two dimensions: c = op(a) · op(b).</summary>
public static class MatMul
{
    /// <summary>Multiplies.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="a">[…, m, k], or […, k, m] if transposed.</param>
    /// <param name="b">[…, k, n], or […, n, k] if transposed. The leading dimensions of a and b are equal, or one is a plain matrix.</param>
    /// <param name="transposeA">Take a transposed.</param>
    /// <param name="transposeB">Take b transposed.</param>
    /// <returns>[…, m, n]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Tensor c = scope.New(ResultShape(a.Shape, b.Shape, transposeA, transposeB));
        scope.Backend.MatMul(a, transposeA, b, transposeB, 1f, accumulate: false, c, scope.Precision);
        if (scope.Tracks(c, a, b))
        {
            Node node = scope.Record<Node>(c);
            (node.A, node.B, node.TransposeA, node.TransposeB) = (a, b, transposeA, transposeB);
        }

        return c;
    }

    private static Shape ResultShape(Shape a, Shape b, bool transposeA, bool transposeB)
    {
        if (a.Rank < 2 || b.Rank < 2)
        {
            throw new ArgumentException($"A matrix product takes matrices; these are {a} and {b}.", nameof(a));
        }

        (long m, long k) = transposeA ? (a[-1], a[-2]) : (a[-2], a[-1]);
        (long inner, long n) = transposeB ? (b[-1], b[-2]) : (b[-2], b[-1]);
        bool batchesFit = a.Rank == 2 || b.Rank == 2 || (a.Rank == b.Rank && a[0] == b[0] && (a.Rank == 3 || a[1] == b[1]));
        if (k != inner || !batchesFit)
        {
            throw new ArgumentException($"{a}{(transposeA ? "ᵀ" : "")} and {b}{(transposeB ? "ᵀ" : "")} cannot be multiplied: inner dimensions {k} and {inner}.", nameof(b));
        }

        Shape outer = a.Rank >= b.Rank ? a : b;
        return outer.With(-2, m).With(-1, n);
    }

    private sealed class Node : TapeNode
    {
        public Tensor A { get; set; } = null!;

        public Tensor B { get; set; } = null!;

        public bool TransposeA { get; set; }

        public bool TransposeB { get; set; }

        public override void Backward(ComputeScope scope)
        {
            IBackend backend = scope.Backend;
            Tensor dc = OutputGrad;
            if (scope.GradOf(A) is { } da)
            {
                // dA = dC · op(B)ᵀ, or its transpose op(B) · dCᵀ.
                if (TransposeA)
                {
                    backend.MatMul(B, TransposeB, dc, true, 1f, accumulate: true, da, scope.Precision);
                }
                else
                {
                    backend.MatMul(dc, false, B, !TransposeB, 1f, accumulate: true, da, scope.Precision);
                }
            }

            if (scope.GradOf(B) is { } db)
            {
                // dB = op(A)ᵀ · dC, or its transpose dCᵀ · op(A).
                if (TransposeB)
                {
                    backend.MatMul(dc, true, A, TransposeA, 1f, accumulate: true, db, scope.Precision);
                }
                else
                {
                    backend.MatMul(A, !TransposeA, dc, false, 1f, accumulate: true, db, scope.Precision);
                }
            }
        }
    }
}
