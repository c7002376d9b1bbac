using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public long CrossEntropyRows(Tensor labels, int vocabulary, Tensor rows)
    {
        ArgumentNullException.ThrowIfNull(labels);
        int* label = Ints(labels);
        int* row = Ints(rows);
        long count = 0;
        for (int token = 0; token < labels.Shape.Count; token++)
        {
            if (label[token] == CrossEntropy.Ignored)
            {
                continue;
            }

            if (label[token] < 0 || label[token] >= vocabulary)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(labels), label[token], $"The label of token {token} is outside the vocabulary, allowed 0–{vocabulary - 1} or {CrossEntropy.Ignored} for none.");
            }

            row[count++] = token;
        }

        return count;
    }

    /// <inheritdoc/>
    public void CrossEntropyGather(Tensor hidden, Tensor rows, long start, Tensor chunk)
    {
        ArgumentNullException.ThrowIfNull(chunk);
        int width = (int)chunk.Shape.Columns;
        float* source = Floats(hidden);
        float* target = Floats(chunk);
        int* row = Ints(rows) + start;
        for (long i = 0; i < chunk.Shape.Rows; i++)
        {
            new ReadOnlySpan<float>(source + ((long)row[i] * width), width).CopyTo(new Span<float>(target + (i * width), width));
        }
    }

    /// <inheritdoc/>
    public void CrossEntropyScatter(Tensor chunk, Tensor rows, long start, Tensor dHidden)
    {
        ArgumentNullException.ThrowIfNull(chunk);
        int width = (int)chunk.Shape.Columns;
        float* source = Floats(chunk);
        float* target = Floats(dHidden);
        int* row = Ints(rows) + start;
        for (long i = 0; i < chunk.Shape.Rows; i++)
        {
            Span<float> sum = new(target + ((long)row[i] * width), width);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(source + (i * width), width), sum);
        }
    }

    /// <inheritdoc/>
    public void CrossEntropyForward(Tensor logits, Tensor labels, Tensor rows, long start, Tensor logSumExp, Tensor losses)
    {
        ArgumentNullException.ThrowIfNull(logits);
        int width = (int)logits.Shape.Columns;
        CrossEntropyForwardBody body = new(
            Floats(logits), width, Ints(labels), Ints(rows) + start, Floats(logSumExp) + start, Floats(losses));
        _pool.For(logits.Shape.Rows, RowGrain(width), ref body);
    }

    /// <inheritdoc/>
    public void CrossEntropyForwardBackward(Tensor logits, Tensor labels, Tensor rows, long start, float normalizer, Tensor losses)
    {
        ArgumentNullException.ThrowIfNull(logits);
        int width = (int)logits.Shape.Columns;
        CrossEntropyForwardBackwardBody body = new(
            Floats(logits), width, Ints(labels), Ints(rows) + start, 1f / normalizer, Floats(losses));
        _pool.For(logits.Shape.Rows, RowGrain(width), ref body);
    }

    /// <inheritdoc/>
    public void CrossEntropySum(Tensor losses, float normalizer, Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(losses);
        double sum = 0;
        float* values = Floats(losses);
        for (long i = 0; i < losses.Shape.Count; i++)
        {
            sum += values[i];
        }

        *Floats(loss) = (float)(sum / normalizer);
    }

    /// <inheritdoc/>
    public void CrossEntropyBackward(Tensor logits, Tensor labels, Tensor rows, long start, Tensor logSumExp, Tensor dLoss, float normalizer)
    {
        ArgumentNullException.ThrowIfNull(logits);
        int width = (int)logits.Shape.Columns;
        CrossEntropyBackwardBody body = new(
            Floats(logits), width, Ints(labels), Ints(rows) + start, Floats(logSumExp) + start, *Floats(dLoss) / normalizer);
        _pool.For(logits.Shape.Rows, RowGrain(width), ref body);
    }

    private readonly struct CrossEntropyForwardBody(float* logits, int width, int* labels, int* rows, float* logSumExp, float* losses) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                Span<float> row = new(logits + (i * width), width);
                float label = row[labels[rows[i]]];
                float max = TensorPrimitives.Max<float>(row);
                TensorPrimitives.Subtract(row, max, row);
                TensorPrimitives.Exp(row, row);
                logSumExp[i] = max + MathF.Log(TensorPrimitives.Sum(row));
                losses[rows[i]] = logSumExp[i] - label;
            }
        }
    }

    private readonly struct CrossEntropyForwardBackwardBody(float* logits, int width, int* labels, int* rows, float scale, float* losses) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                Span<float> row = new(logits + (i * width), width);
                ref float label = ref row[labels[rows[i]]];
                float score = label;
                float max = TensorPrimitives.Max<float>(row);
                TensorPrimitives.Subtract(row, max, row);
                TensorPrimitives.Exp(row, row);
                float sum = TensorPrimitives.Sum<float>(row);
                losses[rows[i]] = max + MathF.Log(sum) - score;
                TensorPrimitives.Multiply(row, scale / sum, row);
                label -= scale;
            }
        }
    }

    private readonly struct CrossEntropyBackwardBody(float* logits, int width, int* labels, int* rows, float* logSumExp, float scale) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                Span<float> row = new(logits + (i * width), width);
                TensorPrimitives.Subtract(row, logSumExp[i], row);
                TensorPrimitives.Exp(row, row);
                row[labels[rows[i]]] -= 1f;
                TensorPrimitives.Multiply(row, scale, row);
            }
        }
    }
}
