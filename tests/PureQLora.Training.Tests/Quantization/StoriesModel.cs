using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A real small model (stories260K, stories3M) with its stored windows and reference perplexities.</summary>
internal sealed class StoriesModel : IDisposable
{
    public const int BosId = 1;
    private readonly JsonElement _results;

    public StoriesModel(string name)
    {
        Folder = ModelFolder.Open(RepositoryPaths.Shared("golden", "models_real", name));
        Golden = GoldenTensors.Read(RepositoryPaths.Shared("golden", "quantization", "perplexity", $"{name}.safetensors"));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Shared("golden", "quantization", "perplexity", $"{name}.json")));
        _results = document.RootElement.GetProperty("results").Clone();
        Evaluation = Rows(Golden.Ints("eval_ids"));

        // A window of calibration is seen as one of evaluation is: BOS and all but its last id.
        Calibration = [.. Rows(Golden.Ints("calibration_ids")).Select(row => (int[])[BosId, .. row[..^1]])];
    }

    public ModelFolder Folder { get; }

    public LlamaModel Model => Folder.Model;

    public GoldenTensors Golden { get; }

    /// <summary>78 windows of 256 ids, without BOS.</summary>
    public IReadOnlyList<int[]> Evaluation { get; }

    /// <summary>64 samples of 256 ids, BOS first.</summary>
    public IReadOnlyList<int[]> Calibration { get; }

    /// <summary>So many windows from where the stored ones come from; these are the first.</summary>
    public IReadOnlyList<int[]> CalibrationOf(int windows)
    {
        string text = File.ReadAllText(RepositoryPaths.Shared("data", "text", "tinystories_val.txt"))[1_500_000..].Replace("<|endoftext|>", string.Empty, StringComparison.Ordinal);
        IReadOnlyList<int> ids = Folder.Tokenizer.Encode(text[..Math.Min(text.Length, windows * 1500)]);
        return [.. ids.Chunk(256).Take(windows).Select(row => (int[])[BosId, .. row[..^1]])];
    }

    /// <summary>The reference's mean negative log-likelihood of a row of its table.</summary>
    public double Reference(string row) => _results.GetProperty(row).GetProperty("mean_nll").GetDouble();

    /// <summary>The settings of a row of the table.</summary>
    public GptqOptions Options(string row)
    {
        JsonElement settings = _results.GetProperty(row);
        bool Flag(string name) => settings.TryGetProperty(name, out JsonElement value) && value.GetBoolean();
        return new GptqOptions
        {
            Bits = settings.GetProperty("bits").GetInt32(),
            GroupSize = settings.GetProperty("group_size").GetInt32(),
            Symmetric = Flag("symmetric"),
            ActOrder = Flag("act_order"),
            StaticGroups = Flag("static_groups"),
            GridVariant = settings.TryGetProperty("group_grid", out JsonElement grid) && grid.GetString() == "block_start" ? GridVariant.BlockStart : GridVariant.Current,
            Float16Scales = false,
        };
    }

    public PerplexityResult Measure(IBackend backend) => PerplexityEvaluator.Measure(Model, backend, Evaluation, BosId);

    public void Dispose() => Folder.Dispose();

    private static int[][] Rows(int[] ids) => [.. ids.Chunk(256)];
}
