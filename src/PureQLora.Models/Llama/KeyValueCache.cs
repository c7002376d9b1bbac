using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Keys and values of the tokens seen so far, for each layer, so that a new token costs one row of attention.</summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly Tensor[] _keys;      // a layer: [batch, capacity, kvHeads, headDim]
    private readonly Tensor[] _values;
    private readonly Storage _storage;
    private readonly IBackend _backend;

    /// <summary>Allocates an empty cache.</summary>
    /// <param name="backend">Where attention will run.</param>
    /// <param name="config">Gives layers, heads and head dimension.</param>
    /// <param name="batch">Sequences generated together.</param>
    /// <param name="capacity">Longest sequence, prompt and padding included.</param>
    public KeyValueCache(IBackend backend, LlamaConfig config, int batch, int capacity)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(config);
        Shape shape = new(batch, capacity, config.KeyValueHeads, config.HeadDim);

        // One block: many of an odd size end in small pages each, and touching those first takes six times as long.
        long bytes = ((shape.Count * sizeof(float)) + CpuStorage.Alignment - 1) & ~(CpuStorage.Alignment - 1L);
        _storage = backend.Allocate(2 * config.Layers * bytes);
        (_keys, _values) = (new Tensor[config.Layers], new Tensor[config.Layers]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            _keys[layer] = new Tensor(shape, DataType.Float32, _storage, 2 * layer * bytes);
            _values[layer] = new Tensor(shape, DataType.Float32, _storage, ((2 * layer) + 1) * bytes);
        }

        (_backend, Batch, Capacity) = (backend, batch, capacity);
    }

    /// <summary>Sequences generated together.</summary>
    public int Batch { get; private set; }

    /// <summary>Longest sequence.</summary>
    public int Capacity { get; }

    /// <summary>Tokens held, padding included.</summary>
    public int Length { get; private set; }

    /// <summary>Adds the keys and values of new tokens behind those held; the length grows at <see cref="Advance"/>.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="layer">Index of the block.</param>
    /// <param name="k">[batch, seq, kvHeads, headDim]</param>
    /// <param name="v">[batch, seq, kvHeads, headDim]</param>
    /// <returns>The whole buffers, of which Length + seq tokens are valid.</returns>
    /// <exception cref="InvalidOperationException">The tokens do not fit.</exception>
    internal (Tensor Keys, Tensor Values) Append(ComputeScope scope, int layer, Tensor k, Tensor v)
    {
        long seq = k.Shape[1];
        if (Length + seq > Capacity)
        {
            throw new InvalidOperationException($"The key-value cache holds {Length} of {Capacity} tokens and {seq} more were asked for; make it larger.");
        }

        scope.Backend.CopySlice(k, 0, _keys[layer], Length, seq, 1, accumulate: false);
        scope.Backend.CopySlice(v, 0, _values[layer], Length, seq, 1, accumulate: false);
        return (_keys[layer], _values[layer]);
    }

    /// <summary>Counts the tokens that every layer has appended.</summary>
    internal void Advance(int tokens) => Length += tokens;

    /// <summary>Ends a sequence: the last one takes its place and the batch becomes one smaller.</summary>
    internal void RemoveRow(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Batch);
        Batch--;
        for (int layer = 0; layer < _keys.Length; layer++)
        {
            _keys[layer] = RemoveRow(_keys[layer], row);
            _values[layer] = RemoveRow(_values[layer], row);
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear() => Length = 0;

    /// <summary>Releases the memory.</summary>
    public void Dispose() => _storage.Dispose();

    private Tensor RemoveRow(Tensor buffer, int row)
    {
        if (row != Batch && Length > 0)
        {
            long token = buffer.Shape[2] * buffer.Shape[3] * sizeof(float);
            _backend.Move(
                buffer.Storage, buffer.ByteOffset + (Batch * Capacity * token), buffer.Storage, buffer.ByteOffset + (row * Capacity * token), Length * token);
        }

        return buffer.ViewRows(0, Batch);
    }
}
