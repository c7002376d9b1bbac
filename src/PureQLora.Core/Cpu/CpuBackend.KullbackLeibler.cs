using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void KullbackLeiblerForwardBackward(Tensor logits, Tensor targets, long start, float normalizer, Tensor divergences)
    {
        ArgumentNullException.ThrowIfNull(logits);
        int width = (int)logits.Shape.Columns;
        KullbackLeiblerBody body = new(Floats(logits), Floats(targets), width, 1f / normalizer, Floats(divergences) + start);
        _pool.For(logits.Shape.Rows, RowGrain(width), ref body);
    }

    private readonly struct KullbackLeiblerBody(float* logits, float* targets, int width, float scale, float* divergences) : IParallelRange
    {
        public void Run(long start, long end)
        {
            using Scratch memory = Scratch.Rent(2L * width);
            Span<float> q = new(memory.Floats, width);
            Span<float> p = new(memory.Floats + width, width);
            for (long i = start; i < end; i++)
            {
                Span<float> logQ = new(logits + (i * width), width);
                Span<float> logP = new(targets + (i * width), width);
                LogSoftmax(logQ, q);
                LogSoftmax(logP, p);

                // The difference of logarithms first: each is large where their divergence is small.
                TensorPrimitives.Subtract(logP, logQ, logP);
                divergences[i] = TensorPrimitives.Dot<float>(p, logP);
                TensorPrimitives.Subtract(q, p, logQ);
                TensorPrimitives.Multiply(logQ, scale, logQ);
            }
        }

        /// <summary>Replaces a row by the logarithms of its softmax.</summary>
        private static void LogSoftmax(Span<float> row, Span<float> probabilities)
        {
            TensorPrimitives.Subtract(row, TensorPrimitives.Max<float>(row), row);
            TensorPrimitives.Exp<float>(row, probabilities);
            float sum = TensorPrimitives.Sum<float>(probabilities);
            TensorPrimitives.Subtract(row, MathF.Log(sum), row);
            TensorPrimitives.Divide(probabilities, sum, probabilities);
        }
    }
}
