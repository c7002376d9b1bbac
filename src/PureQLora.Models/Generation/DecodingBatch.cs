using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Sequences that are continued together. Prompts are padded on the left, so that every row's next token has the same place in the
/// key-value cache; positions count from a row's own first token and padding is a segment that nobody sees. A finished row gives its
/// place to the last one, which costs one copy and keeps the batch dense.
/// </summary>
internal sealed class DecodingBatch : IDisposable
{
    /// <summary>Value of <see cref="PassTokens"/> unless set.</summary>
    public const int DefaultPassTokens = 4096;

    private readonly LlamaModel _model;
    private readonly List<GeneratedSequence> _rows;
    private readonly List<int> _padding;            // [rows]
    private readonly int _promptLength;             // of the longest
    private readonly KeyValueCache _cache;
    private readonly Arena _arena;
    private readonly ComputeScope _scope;
    private readonly Storage? _segmentStorage;
    private readonly Tensor? _segments;             // Int32 [first rows, capacity]: −1 for padding, 0 for the rest
    private readonly float[] _logits;               // [rows, vocabulary]
    private int[] _ids = [];
    private int[] _positions = [];

    /// <param name="model">Continues the sequences.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="precision">Of matrix products.</param>
    /// <param name="rows">At least one; none is empty.</param>
    public DecodingBatch(LlamaModel model, IBackend backend, Precision precision, IEnumerable<GeneratedSequence> rows)
    {
        (_model, _rows) = (model, [.. rows]);
        _promptLength = _rows.Max(row => row.PromptLength);
        _padding = [.. _rows.Select(row => _promptLength - row.PromptLength)];
        int capacity = _rows.Zip(_padding, (row, padding) => row.MaxLength + padding).Max();
        _logits = new float[(long)_rows.Count * model.Config.VocabularySize];
        _cache = new KeyValueCache(backend, model.Config, _rows.Count, capacity);
        _arena = new Arena(backend);
        _scope = new ComputeScope(_arena) { Precision = precision };
        if (_padding.Exists(padding => padding > 0))
        {
            Shape shape = new(_rows.Count, capacity);
            _segmentStorage = backend.Allocate(shape.Count * sizeof(int));
            _segments = new Tensor(shape, DataType.Int32, _segmentStorage);
            int[] row = new int[capacity];
            for (int i = 0; i < _rows.Count; i++)
            {
                row.AsSpan().Clear();
                row.AsSpan(0, _padding[i]).Fill(-1);
                _segmentStorage.Write((long)i * capacity * sizeof(int), MemoryMarshal.AsBytes(row.AsSpan()));
            }
        }
    }

    /// <summary>Tokens of one pass over the prompts: enough to use the weights well, few enough to bound the memory of long ones.</summary>
    public int PassTokens { get; init; } = DefaultPassTokens;

    /// <summary>The sequences still being continued.</summary>
    public IReadOnlyList<GeneratedSequence> Rows => _rows;

    /// <summary>Scores of the next token of a row, [vocabulary], valid until the next pass.</summary>
    public ReadOnlySpan<float> Logits(int row) => _logits.AsSpan(row * _model.Config.VocabularySize, _model.Config.VocabularySize);

    /// <summary>Reads the prompts.</summary>
    /// <param name="cancellationToken">Checked between passes.</param>
    /// <returns>False where cancelled; there are no scores then.</returns>
    public bool Prefill(CancellationToken cancellationToken)
    {
        int columns = Math.Max(1, PassTokens / _rows.Count);
        for (int start = 0; start < _promptLength; start += columns)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                return false;
            }

            Pass(start, Math.Min(columns, _promptLength - start));
        }

        return true;
    }

    /// <summary>Reads the token that each row has got since.</summary>
    public void Step() => Pass(_cache.Length, 1);

    /// <summary>Takes finished rows out.</summary>
    public void RemoveFinished()
    {
        for (int row = _rows.Count - 1; row >= 0; row--)
        {
            if (_rows[row].FinishReason is not null)
            {
                Remove(row);
            }
        }
    }

    /// <summary>Releases cache and memory.</summary>
    public void Dispose()
    {
        _scope.Dispose();
        _arena.Dispose();
        _cache.Dispose();
        _segmentStorage?.Dispose();
    }

    private void Remove(int row)
    {
        int last = _rows.Count - 1;
        if (row != last && _segments is not null)
        {
            long bytes = _segments.Shape[1] * sizeof(int);
            _arena.Backend.Move(_segments.Storage, last * bytes, _segments.Storage, row * bytes, bytes);
        }

        _cache.RemoveRow(row);
        (_rows[row], _padding[row]) = (_rows[last], _padding[last]);
        _rows.RemoveAt(last);
        _padding.RemoveAt(last);
    }

    /// <summary>One pass over columns start … start + count − 1 of all rows; scores are computed where the last column is known.</summary>
    private void Pass(int start, int count)
    {
        int batch = _rows.Count;
        if (_ids.Length < batch * count)
        {
            (_ids, _positions) = (new int[batch * count], new int[batch * count]);
        }

        for (int row = 0; row < batch; row++)
        {
            for (int i = 0; i < count; i++)
            {
                // Padding may be any token at any position: no other sees it.
                int position = start + i - _padding[row];
                _ids[(row * count) + i] = position < 0 ? 0 : _rows[row].Ids[position];
                _positions[(row * count) + i] = Math.Max(position, 0);
            }
        }

        Shape shape = new(batch, count);
        ModelInput input = new(_scope.From(_ids.AsSpan(0, batch * count), shape), _scope.From(_positions.AsSpan(0, batch * count), shape))
        {
            Segments = _segments is null ? null : _scope.ViewRows(_segments, 0, batch),
            Cache = _cache,
        };
        Tensor hidden = _model.Forward(_scope, input);                          // [batch, count, hidden]
        if (start + count >= _promptLength)
        {
            Tensor last = Slice.Forward(_scope, hidden, 1, count - 1, 1);       // [batch, 1, hidden]
            Tensor logits = _model.Logits(_scope, last);                        // [batch, 1, vocabulary]
            logits.Storage.Read(logits.ByteOffset, MemoryMarshal.AsBytes(_logits.AsSpan(0, batch * _model.Config.VocabularySize)));
        }

        _scope.Reset();
    }
}
