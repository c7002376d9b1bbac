using System.Numerics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void AdamWStep(
        Tensor parameter, Tensor grad, Tensor m, Tensor v, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, long step, float gradientScale)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        ArgumentNullException.ThrowIfNull(grad);
        ArgumentNullException.ThrowIfNull(m);
        ArgumentNullException.ThrowIfNull(v);
        ArgumentOutOfRangeException.ThrowIfLessThan(step, 1);
        long count = parameter.Shape.Count;
        if (grad.Shape.Count != count || m.Shape.Count != count || v.Shape.Count != count)
        {
            throw new ArgumentException($"The parameter is {parameter.Shape}, its gradient {grad.Shape}, its moments {m.Shape} and {v.Shape}; they must be equal.", nameof(grad));
        }

        _ = WritableHost(parameter);
        AdamWFactors factors = new(
            Decay: (float)(1.0 - (learningRate * weightDecay)),
            FirstShare: (float)(1.0 - beta1),
            Beta2: (float)beta2,
            SecondShare: (float)(1.0 - beta2),
            RootCorrection: (float)Math.Sqrt(1.0 - Math.Pow(beta2, step)),
            Epsilon: (float)epsilon,
            Rate: (float)(learningRate / (1.0 - Math.Pow(beta1, step))),
            GradientScale: gradientScale);
        AdamWBody body = new(Floats(parameter), Floats(grad), Floats(m), Floats(v), factors);
        _pool.For(count, ElementGrain, ref body);
        GC.KeepAlive(parameter);
        GC.KeepAlive(grad);
        GC.KeepAlive(m);
        GC.KeepAlive(v);
    }

    /// <inheritdoc/>
    public double SumOfSquares(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        long parts = (x.Shape.Count + ElementGrain - 1) / ElementGrain;
        using Scratch scratch = Scratch.Rent(2 * parts);
        SumOfSquaresBody body = new(Floats(x), x.Shape.Count, (double*)scratch.Floats);
        _pool.For(parts, 1, ref body);
        double total = 0;
        for (long part = 0; part < parts; part++)
        {
            total += ((double*)scratch.Floats)[part];
        }

        GC.KeepAlive(x);
        return total;
    }

    private readonly record struct AdamWFactors(
        float Decay, float FirstShare, float Beta2, float SecondShare, float RootCorrection, float Epsilon, float Rate, float GradientScale);

    private readonly struct AdamWBody(float* parameter, float* grad, float* m, float* v, AdamWFactors factors) : IParallelRange
    {
        public void Run(long start, long end)
        {
            long i = start;
            for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> gradient = Vector.Load(grad + i) * factors.GradientScale;
                Vector<float> first = Vector.Load(m + i);
                first += (gradient - first) * factors.FirstShare;
                Vector<float> second = (Vector.Load(v + i) * factors.Beta2) + (gradient * factors.SecondShare * gradient);
                Vector<float> divisor = (Vector.SquareRoot(second) / new Vector<float>(factors.RootCorrection)) + new Vector<float>(factors.Epsilon);
                Vector<float> value = (Vector.Load(parameter + i) * factors.Decay) - (first * factors.Rate / divisor);
                first.Store(m + i);
                second.Store(v + i);
                value.Store(parameter + i);
            }

            for (; i < end; i++)
            {
                float gradient = grad[i] * factors.GradientScale;
                m[i] += (gradient - m[i]) * factors.FirstShare;
                v[i] = (v[i] * factors.Beta2) + (gradient * factors.SecondShare * gradient);
                float divisor = (MathF.Sqrt(v[i]) / factors.RootCorrection) + factors.Epsilon;
                parameter[i] = (parameter[i] * factors.Decay) - (m[i] * factors.Rate / divisor);
            }
        }
    }

    private readonly struct SumOfSquaresBody(float* x, long count, double* sums) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long part = start; part < end; part++)
            {
                long last = Math.Min(count, (part + 1) * ElementGrain);
                long i = part * ElementGrain;
                (Vector<double> even, Vector<double> odd) = (Vector<double>.Zero, Vector<double>.Zero);
                for (; i <= last - Vector<float>.Count; i += Vector<float>.Count)
                {
                    Vector.Widen(Vector.Load(x + i), out Vector<double> low, out Vector<double> high);
                    even += low * low;
                    odd += high * high;
                }

                double total = Vector.Sum(even + odd);
                for (; i < last; i++)
                {
                    total += (double)x[i] * x[i];
                }

                sums[part] = total;
            }
        }
    }
}
