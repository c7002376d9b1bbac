using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>
/// C [m, n] = or += alpha · A [m, k] · Wᵀ for few rows m, as in decoding: every weight row is read, or dequantised, once into the first-level cache
/// and multiplied with all rows of A; nothing is packed.
/// </summary>
internal readonly unsafe struct SkinnyBody(GemmProblem problem, float* a) : IParallelRange
{
    /// <summary>Rows of A up to which this is faster than packing the weight.</summary>
    public const int MaxRows = 24;

    /// <summary>Weight rows of one task, about as much work as hides the cost of a parallel region.</summary>
    public static long Grain(long k) => Math.Max(2, (1 << 14) / Math.Max(1, k) * 2);

    public void Run(long start, long end)
    {
        int k = (int)problem.K;
        using Scratch buffer = Scratch.Rent(2L * k);
        for (long n = start; n < end; n += 2)
        {
            bool pair = n + 1 < end;
            float* first = Line(n, buffer.Floats);
            float* second = pair ? Line(n + 1, buffer.Floats + k) : first;
            for (long m = 0; m < problem.M; m++)
            {
                (float one, float two) = Dots(a + (m * k), first, second, k);
                Put(m, n, one);
                if (pair)
                {
                    Put(m, n + 1, two);
                }
            }
        }
    }

    private float* Line(long n, float* buffer)
    {
        if (!problem.RoundToBFloat16 && problem.B.InPlace(n, 0) is not null and var line)
        {
            return line;
        }

        problem.B.Read(n, 0, (int)problem.K, problem.RoundToBFloat16, buffer);
        return buffer;
    }

    private void Put(long m, long n, float value)
    {
        float* c = problem.C + (m * problem.N) + n;
        *c = problem.Accumulate ? *c + (problem.Alpha * value) : problem.Alpha * value;
    }

    /// <summary>x·u and x·v with four independent sums each.</summary>
    private static (float First, float Second) Dots(float* x, float* u, float* v, int k)
    {
        Vector256<float> u0 = default, u1 = default, u2 = default, u3 = default, v0 = default, v1 = default, v2 = default, v3 = default;
        int i = 0;
        for (; i <= k - 32; i += 32)
        {
            Vector256<float> x0 = Vector256.Load(x + i), x1 = Vector256.Load(x + i + 8), x2 = Vector256.Load(x + i + 16), x3 = Vector256.Load(x + i + 24);
            u0 = Vector256.FusedMultiplyAdd(x0, Vector256.Load(u + i), u0);
            u1 = Vector256.FusedMultiplyAdd(x1, Vector256.Load(u + i + 8), u1);
            u2 = Vector256.FusedMultiplyAdd(x2, Vector256.Load(u + i + 16), u2);
            u3 = Vector256.FusedMultiplyAdd(x3, Vector256.Load(u + i + 24), u3);
            v0 = Vector256.FusedMultiplyAdd(x0, Vector256.Load(v + i), v0);
            v1 = Vector256.FusedMultiplyAdd(x1, Vector256.Load(v + i + 8), v1);
            v2 = Vector256.FusedMultiplyAdd(x2, Vector256.Load(v + i + 16), v2);
            v3 = Vector256.FusedMultiplyAdd(x3, Vector256.Load(v + i + 24), v3);
        }

        float first = Vector256.Sum((u0 + u1) + (u2 + u3));
        float second = Vector256.Sum((v0 + v1) + (v2 + v3));
        for (; i < k; i++)
        {
            first += x[i] * u[i];
            second += x[i] * v[i];
        }

        return (first, second);
    }
}
