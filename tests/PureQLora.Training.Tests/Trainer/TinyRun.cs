using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A model of random weights with a real tokenizer, small enough to train in milliseconds, in a folder that ends with the test.</summary>
internal sealed class TinyRun : IDisposable
{
    public TinyRun(int intermediate = 48)
    {
        Folder = Directory.CreateTempSubdirectory("pureqlora-run-").FullName;
        string tokenizer = RepositoryPaths.Fixture("text", "tokenizers", "bpe800");
        LlamaConfig config = Config(TokenizerFile.Load(tokenizer).VocabularySize, intermediate);
        RandomWeights weights = new(config, seed: 7, deviation: 0.1f);
        SafetensorsWriter writer = new();
        foreach (string name in LlamaTensorNames.Tensors(config).Keys)
        {
            writer.Add(name, name.EndsWith("norm.weight", StringComparison.Ordinal) ? weights.Vector(name)
                : name == LlamaTensorNames.Embedding ? weights.Tensor(name) : weights.Weight(name[..^".weight".Length]).Dense!);
        }

        HuggingFaceCheckpoint.Write(Model, config, writer, tokenizer);
    }

    public string Folder { get; }

    public string Model => Path.Combine(Folder, "model");

    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>What the tests train: 4-bit GPTQ base, adapters with dropout, accumulation, shuffling.</summary>
    public Recipe Recipe() => new()
    {
        Name = "tiny",
        Model = new() { Path = Model },
        Quantization = new() { GroupSize = 16, CalibrationSamples = 6, CalibrationLength = 48 },
        Lora = new() { Rank = 4, Dropout = 0.1, Targets = ["all-linear"] },
        Data = new() { MaxLength = 96, WordProblems = new() { NewProblems = 20, OldProblems = 10 } },
        Training = new() { Steps = 8, BatchSize = 2, Accumulation = 2, SaveEvery = 3, Seed = 5 },
        Optimizer = new() { LearningRate = 5e-3 },
        Evaluation = new() { Enabled = false },
    };

    /// <summary>Runs a recipe in a new folder.</summary>
    public RunSummary Run(string name, Recipe recipe, int threads = 1, IRunObserver? observer = null, CancellationToken cancellationToken = default)
    {
        using CpuBackend backend = new(threads);
        return new TrainingRun(recipe, RunFolder.Create(this[name], recipe), backend, observer: observer).Run(cancellationToken);
    }

    /// <summary>Goes on with a run.</summary>
    public RunSummary Resume(string name, int threads = 1, IRunObserver? observer = null, params string[] overrides)
    {
        using CpuBackend backend = new(threads);
        RunFolder folder = RunFolder.Resume(this[name], overrides, out Recipe recipe);
        return new TrainingRun(recipe, folder, backend, observer: observer).Run();
    }

    public byte[] AdapterBytes(string name) => File.ReadAllBytes(Path.Combine(this[name], "adapter", "adapter_model.safetensors"));

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    public static LlamaConfig Config(int vocabulary, int intermediate = 48, int layers = 2) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = vocabulary,
        HiddenSize = 32,
        IntermediateSize = intermediate,
        Layers = layers,
        Heads = 4,
        KeyValueHeads = 2,
        HeadDim = 8,
        RmsNormEpsilon = 1e-5,
        MaxPositions = 512,
        SlidingWindows = new int?[layers],
    };
}
