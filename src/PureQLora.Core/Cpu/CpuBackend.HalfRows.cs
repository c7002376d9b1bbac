namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Up to so many rows of x meet a bfloat16 weight one by one; for more, it pays to convert or expand it once for all.</summary>
    private const int HalfRows = 2;

    /// <summary>c = x · wᵀ for few rows and a bfloat16 weight, such as the head of a model in decoding.</summary>
    private bool TryHalfProduct(in GemmProblem problem)
    {
        GemmTerm term = problem.First;
        if (!term.LeftIsInner || !term.RightIsInner || problem.Second.Depth > 0 || term.Right.BFloat16 is null)
        {
            return false;
        }

        if (_tier >= CpuTier.Avx512BFloat16 && problem.Precision == Precision.Int8)
        {
            // Only products with codes are of integers. Measured on Zen 5, 16 rows of [32000, 2048]: 6.6 ms, in float32 16.2.
            Gemm(problem with { Precision = Precision.BFloat16 });
            return true;
        }

        if (_tier == CpuTier.Avx512BFloat16 && problem.Precision == Precision.BFloat16 && problem.M is > HalfRows and <= PackedBFloat16Rows
            && term.Depth >= ShortestDot)
        {
            return TryExpandedProduct(problem, new ExpandedHalves(term.Right.BFloat16, checked((int)term.Depth)));
        }

        if (_tier < CpuTier.Avx512 || problem.M > HalfRows || !HasQuads(problem))
        {
            return false;
        }

        int k = checked((int)term.Depth);
        using Scratch x = Scratch.Rent(problem.M * k);
        for (long i = 0; i < problem.M; i++)
        {
            float* target = x.Floats + (i * k);
            float* row = term.Left.Row(i, 0, k, target);
            if (problem.Precision == Precision.BFloat16)
            {
                BFloat16Vectors.Round(row, target, k);
            }
            else if (row != target)
            {
                Buffer.MemoryCopy(row, target, k * sizeof(float), k * sizeof(float));
            }
        }

        HalfBody body = new(problem, term.Right.BFloat16, x.Floats, k);
        _pool.For(PackedQuads(problem.N), PackedGrain(problem.N, (long)sizeof(ushort) * k), ref body);
        return true;
    }

    /// <summary>Four weight rows an item.</summary>
    private readonly struct HalfBody(GemmProblem problem, ushort* w, float* x, int k) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;

        public void Run(long start, long end)
        {
            RowQuads quads = new(start, end, _problem.N);
            for (int quad = 0; quad < quads.Count; quad++)
            {
                (long row, long step) = quads[quad];
                for (long i = 0; i < _problem.M; i++)
                {
                    _problem.StoreQuad(i, row, step, HalfDots512.BFloat16(w + (row * k), step * k, x + (i * k), k));
                }
            }
        }
    }
}
