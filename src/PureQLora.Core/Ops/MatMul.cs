namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="MatMul"/>.</summary>
public interface IMatMulKernels
{
    /// <summary>c = alpha · op(a) · op(b), or c += that where <paramref name="accumulate"/>; op transposes the last two dimensions if asked.</summary>
    /// <remarks>
    /// Leading dimensions are a batch. A plain matrix a or b serves every item of the batch; a plain matrix c over a batched a and b
    /// receives the sum over the batch.
    /// </remarks>
    /// <param name="a">[…, m, k], or […, k, m] if transposed; any floating type.</param>
    /// <param name="transposeA">Transpose a.</param>
    /// <param name="b">[…, k, n], or […, n, k] if transposed; any floating type.</param>
    /// <param name="transposeB">Transpose b.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="accumulate">Add to c instead of writing it.</param>
    /// <param name="c">[…, m, n], Float32.</param>
    /// <param name="precision">Rounding of a and b.</param>
    void MatMul(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision);
}

/// <summary>Matrix product of the last two dimensions: c = op(a) · op(b).</summary>
public static class MatMul
{
    /// <summary>Multiplies, batch by batch over the leading dimensions.</summary>
    /// <param name="scope">The pass; its precision rounds the operands, sums are float32.</param>
    /// <param name="a">[…, m, k], or […, k, m] if transposed.</param>
    /// <param name="b">[…, k, n], or […, n, k] if transposed; leading dimensions equal to a's, or either one a plain matrix.</param>
    /// <param name="transposeA">Transpose a.</param>
    /// <param name="transposeB">Transpose b.</param>
    /// <returns>[…, m, n]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Tensor c = scope.New(OutputShape(a, transposeA, b, transposeB));     // […, m, n]
        scope.Backend.MatMul(a, transposeA, b, transposeB, 1f, accumulate: false, c, scope.Precision);
        if (scope.Tracks(c, a, b))
        {
            Node node = scope.Record<Node>(c);
            (node.A, node.B, node.TransposeA, node.TransposeB) = (a, b, transposeA, transposeB);
        }

        return c;
    }

    private static Shape OutputShape(Tensor a, bool transposeA, Tensor b, bool transposeB)
    {
        (Shape left, Shape right) = (a.Shape, b.Shape);
        bool fits = left.Rank >= 2 && right.Rank >= 2
            && left[transposeA ? -2 : -1] == right[transposeB ? -1 : -2]
            && (left.Rank == right.Rank || left.Rank == 2 || right.Rank == 2);
        for (int i = 0; fits && left.Rank == right.Rank && i < left.Rank - 2; i++)
        {
            fits = left[i] == right[i];
        }

        if (!fits)
        {
            throw new ArgumentException(
                $"{Describe(left, transposeA)} · {Describe(right, transposeB)} is no matrix product: inner extents and leading dimensions must be equal, or one operand a plain matrix.",
                nameof(b));
        }

        Shape batch = left.Rank >= right.Rank ? left : right;
        return batch.With(-2, left[transposeA ? -1 : -2]).With(-1, right[transposeB ? -2 : -1]);
    }

    private static string Describe(Shape shape, bool transpose) => transpose ? $"{shape}ᵀ" : shape.ToString();

    private sealed class Node : TapeNode
    {
        public Tensor A { get; set; } = null!;

        public Tensor B { get; set; } = null!;

        public bool TransposeA { get; set; }

        public bool TransposeB { get; set; }

        public override void Backward(ComputeScope scope)
        {
            IBackend backend = scope.Backend;
            if (scope.GradOf(A) is { } da)
            {
                // d op(A) = dc · op(B)ᵀ
                if (TransposeA)
                {
                    backend.MatMul(B, TransposeB, OutputGrad, true, 1f, accumulate: true, da, scope.Precision);
                }
                else
                {
                    backend.MatMul(OutputGrad, false, B, !TransposeB, 1f, accumulate: true, da, scope.Precision);
                }
            }

            if (scope.GradOf(B) is { } db)
            {
                // d op(B) = op(A)ᵀ · dc
                if (TransposeB)
                {
                    backend.MatMul(OutputGrad, true, A, TransposeA, 1f, accumulate: true, db, scope.Precision);
                }
                else
                {
                    backend.MatMul(A, !TransposeA, OutputGrad, false, 1f, accumulate: true, db, scope.Precision);
                }
            }
        }
    }
}
