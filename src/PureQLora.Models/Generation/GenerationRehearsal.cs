using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Does with memory what <see cref="TextGenerator"/> does, without any text: for plans.</summary>
public static class GenerationRehearsal
{
    /// <summary>Reads sequences up to their last token, and writes that.</summary>
    /// <param name="model">On the backend.</param>
    /// <param name="backend">A rehearsal; another backend would compute.</param>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <param name="sequences">How many together.</param>
    /// <param name="length">Tokens of each, prompt and answer; at least 2.</param>
    /// <returns>Bytes of keys and values, and of the passes' tensors.</returns>
    public static (long Cache, long Activations) Run(LlamaModel model, IDeviceBackend backend, Precision precision, int sequences, int length)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentOutOfRangeException.ThrowIfLessThan(sequences, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        long before = backend.MemoryUsed;
        using KeyValueCache cache = new(backend, model.Config, sequences, length);
        Shape places = new(sequences, length);
        using Storage segments = backend.Allocate(places.Count * sizeof(int));
        long cacheBytes = backend.MemoryUsed - before;
        using Arena arena = new(backend);
        using ComputeScope scope = new(arena) { Precision = precision };
        int columns = Math.Max(1, DecodingBatch.DefaultPassTokens / sequences);
        int[] zeros = new int[sequences * Math.Min(columns, length)];
        while (cache.Length < length)
        {
            int count = Math.Max(1, Math.Min(columns, length - 1 - cache.Length));
            Tensor ids = scope.From(zeros.AsSpan(0, sequences * count), new Shape(sequences, count));
            Tensor positions = scope.From(zeros.AsSpan(0, sequences * count), ids.Shape);
            ModelInput input = new(ids, positions) { Segments = new Tensor(places, DataType.Int32, segments), Cache = cache };
            Tensor hidden = model.Forward(scope, input);                             // [sequences, count, hidden]
            _ = model.Logits(scope, Slice.Forward(scope, hidden, 1, count - 1, 1));  // [sequences, 1, vocabulary]
            scope.Reset();
        }

        return (cacheBytes, arena.ReservedBytes);
    }
}
