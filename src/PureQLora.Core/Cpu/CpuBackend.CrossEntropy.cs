using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Floats of one chunk of logits, 4 MiB.</summary>
    private const long LogitChunkFloats = 1 << 20;

    /// <inheritdoc/>
    public void CrossEntropyForward(Tensor hidden, WeightMatrix head, Tensor labels, Tensor nll, Tensor logSumExp, Precision precision)
    {
        CrossEntropyChunks chunks = new(this, hidden, head, labels, precision);
        float* losses = Floats(nll);
        float* sums = Floats(logSumExp);
        new Span<float>(losses, (int)nll.Shape.Count).Clear();
        new Span<float>(sums, (int)nll.Shape.Count).Clear();
        using Scratch memory = Scratch.Rent(chunks.MemoryFloats);
        for (long start = 0; chunks.Next(memory.Floats, ref start, out int count);)
        {
            NllBody body = new(chunks.Logits, head.OutDim, chunks.Tokens, Ints(labels), losses, sums);
            _pool.For(count, 1, ref body);
        }
    }

    /// <inheritdoc/>
    public void CrossEntropyBackward(
        Tensor gradient, float scale, Tensor hidden, WeightMatrix head, Tensor labels, Tensor logSumExp, Tensor? dHidden, Tensor? dHead, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(hidden);
        ArgumentNullException.ThrowIfNull(head);
        CrossEntropyChunks chunks = new(this, hidden, head, labels, precision);
        bool round = precision == Precision.BFloat16;
        using Scratch memory = Scratch.Rent(chunks.MemoryFloats);
        using Scratch rows = Scratch.Rent(dHidden is null ? 0 : (long)chunks.Capacity * head.InDim);
        GemmOperand weight = head.Dense is { } dense ? new GemmOperand(dense.Host(), dense.DataType, head.InDim) : new GemmOperand(head.Quantized!);
        for (long start = 0; chunks.Next(memory.Floats, ref start, out int count);)
        {
            SoftmaxMinusOneHotBody body = new(chunks.Logits, head.OutDim, chunks.Tokens, Ints(labels), Floats(logSumExp), Floats(gradient)[0] * scale);
            _pool.For(count, 1, ref body);
            GemmOperand dLogits = new((byte*)chunks.Logits, DataType.Float32, head.OutDim);
            if (dHead is not null)
            {
                GemmOperand inputs = new((byte*)chunks.Rows, DataType.Float32, head.InDim);
                Multiply(new GemmProblem(head.OutDim, head.InDim, count, dLogits, false, inputs, false, 1f, true, Floats(dHead), round));
            }

            if (dHidden is not null)
            {
                Multiply(new GemmProblem(count, head.InDim, head.OutDim, dLogits, true, weight, false, 1f, false, rows.Floats, round));
                AddScattered(rows.Floats, chunks.Tokens, count, head.InDim, Floats(dHidden));
            }
        }
    }

    /// <inheritdoc/>
    public void ScaledSum(Tensor x, float scale, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        float* values = Floats(x);
        double sum = 0;
        for (long i = 0; i < x.Shape.Count; i++)
        {
            sum += values[i];
        }

        Floats(y)[0] = (float)(sum * scale);
    }

    private static void AddScattered(float* rows, int* tokens, int count, int width, float* target)
    {
        for (int i = 0; i < count; i++)
        {
            Span<float> row = new(target + ((long)tokens[i] * width), width);
            TensorPrimitives.Add(row, new ReadOnlySpan<float>(rows + ((long)i * width), width), row);
        }
    }

    /// <summary>Walks over the supervised tokens in chunks: gathers their hidden states and multiplies them with the head.</summary>
    private ref struct CrossEntropyChunks
    {
        private readonly CpuBackend _backend;
        private readonly WeightMatrix _head;
        private readonly float* _hidden;
        private readonly int* _labels;
        private readonly long _tokenCount;
        private readonly bool _round;

        public CrossEntropyChunks(CpuBackend backend, Tensor hidden, WeightMatrix head, Tensor labels, Precision precision)
        {
            (_backend, _head, _tokenCount, _round) = (backend, head, hidden.Shape.Rows, precision == Precision.BFloat16);
            _hidden = Floats(hidden);
            _labels = Ints(labels);
            Capacity = (int)Math.Clamp(LogitChunkFloats / head.OutDim, 16, 1024);
            for (long t = 0; t < _tokenCount; t++)
            {
                if (_labels[t] != CrossEntropy.Ignored && (uint)_labels[t] >= (uint)head.OutDim)
                {
                    throw new ArgumentOutOfRangeException(nameof(labels), _labels[t], $"Label {t} must be {CrossEntropy.Ignored} or 0 … {head.OutDim - 1}.");
                }
            }
        }

        /// <summary>Tokens of a chunk at most.</summary>
        public int Capacity { get; }

        /// <summary>Scratch memory that <see cref="Next"/> needs.</summary>
        public readonly long MemoryFloats => (long)Capacity * (_head.OutDim + _head.InDim + 1);

        /// <summary>[count, vocabulary]</summary>
        public float* Logits { get; private set; }

        /// <summary>Hidden states of the chunk, [count, hiddenSize].</summary>
        public float* Rows { get; private set; }

        /// <summary>Index of each row among all tokens, [count].</summary>
        public int* Tokens { get; private set; }

        /// <summary>Computes the logits of the next supervised tokens.</summary>
        public bool Next(float* memory, ref long start, out int count)
        {
            Logits = memory;
            Rows = memory + ((long)Capacity * _head.OutDim);
            Tokens = (int*)(Rows + ((long)Capacity * _head.InDim));
            count = 0;
            for (; start < _tokenCount && count < Capacity; start++)
            {
                if (_labels[start] != CrossEntropy.Ignored)
                {
                    Tokens[count] = (int)start;
                    new ReadOnlySpan<float>(_hidden + (start * _head.InDim), _head.InDim).CopyTo(new Span<float>(Rows + ((long)count * _head.InDim), _head.InDim));
                    count++;
                }
            }

            if (count > 0)
            {
                GemmOperand rows = new((byte*)Rows, DataType.Float32, _head.InDim);
                GemmOperand weight = _head.Dense is { } dense ? new GemmOperand(dense.Host(), dense.DataType, _head.InDim) : new GemmOperand(_head.Quantized!);
                _backend.Multiply(new GemmProblem(count, _head.OutDim, _head.InDim, rows, true, weight, true, 1f, false, Logits, _round));
            }

            return count > 0;
        }
    }

    private readonly struct NllBody(float* logits, int vocabulary, int* tokens, int* labels, float* losses, float* logSumExp) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                Span<float> row = new(logits + (i * vocabulary), vocabulary);
                float target = row[labels[tokens[i]]];
                float max = TensorPrimitives.Max(row);
                TensorPrimitives.Subtract(row, max, row);
                TensorPrimitives.Exp(row, row);
                float sum = max + MathF.Log(TensorPrimitives.Sum(row));
                logSumExp[tokens[i]] = sum;
                losses[tokens[i]] = sum - target;
            }
        }
    }

    private readonly struct SoftmaxMinusOneHotBody(float* logits, int vocabulary, int* tokens, int* labels, float* logSumExp, float gradient) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                Span<float> row = new(logits + (i * vocabulary), vocabulary);
                TensorPrimitives.Subtract(row, logSumExp[tokens[i]], row);
                TensorPrimitives.Exp(row, row);
                row[labels[tokens[i]]] -= 1f;
                TensorPrimitives.Multiply(row, gradient, row);
            }
        }
    }
}
