namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void MatMul(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(c);
        (long m, long n) = (c.Shape[-2], c.Shape[-1]);
        long k = transposeA ? a.Shape[-2] : a.Shape[-1];
        (long aSize, long bSize, long cSize) = (m * k, n * k, m * n);
        long batches = Math.Max(Batches(a), Math.Max(Batches(b), Batches(c)));
        float* pa = Floats(a);
        float* pb = Floats(b);
        float* pc = Floats(c);
        for (long batch = 0; batch < batches; batch++)
        {
            GemmOperand left = new((byte*)(pa + (Batches(a) == 1 ? 0 : batch * aSize)), DataType.Float32, transposeA ? m : k);
            GemmOperand right = new((byte*)(pb + (Batches(b) == 1 ? 0 : batch * bSize)), DataType.Float32, transposeB ? k : n);
            bool sum = accumulate || (batch > 0 && Batches(c) == 1);
            Multiply(new GemmProblem(
                m, n, k, left, !transposeA, right, transposeB, alpha, sum, pc + (Batches(c) == 1 ? 0 : batch * cSize), precision == Precision.BFloat16));
        }
    }

    private static long Batches(Tensor matrix) => matrix.Shape.Rank == 2 ? 1 : matrix.Shape.Rank == 3 ? matrix.Shape[0] : matrix.Shape[0] * matrix.Shape[1];

    private void Multiply(in GemmProblem problem)
    {
        if (problem.M == 0 || problem.N == 0)
        {
            return;
        }

        if (problem.M <= SkinnyBody.MaxRows && problem.AInnerIsLine && problem.BInnerIsLine)
        {
            MultiplySkinny(problem);
        }
        else if (VectorBits >= 512)
        {
            new Gemm<MicroKernel512>(_pool).Run(problem);
        }
        else if (VectorBits >= 256)
        {
            new Gemm<MicroKernel256>(_pool).Run(problem);
        }
        else
        {
            new Gemm<MicroKernel128>(_pool).Run(problem);
        }
    }

    private void MultiplySkinny(in GemmProblem problem)
    {
        using Scratch rounded = Scratch.Rent(problem.RoundToBFloat16 ? problem.M * problem.K : 0);
        float* a = problem.A.InPlace(0, 0);
        if (problem.RoundToBFloat16)
        {
            for (long m = 0; m < problem.M; m++)
            {
                problem.A.Read(m, 0, (int)problem.K, roundToBFloat16: true, rounded.Floats + (m * problem.K));
            }

            a = rounded.Floats;
        }

        SkinnyBody body = new(problem, a);
        _pool.For(problem.N, SkinnyBody.Grain(problem.K), ref body);
    }
}
