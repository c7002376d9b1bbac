using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>A run as a whole: what it leaves, what it refuses, and that interruptions do not change its result.</summary>
public sealed class TrainingRunTests : IDisposable
{
    private readonly TinyRun _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public void Run_GivenTinyModel_ShouldLeaveEverythingWhole()
    {
        RunSummary summary = _tiny.Run("run", _tiny.Recipe());

        string folder = _tiny["run"];
        Assert.Equal(8, summary.Steps.Count);
        Assert.Equal(Enumerable.Range(1, 8), MetricsFile.Read(Path.Combine(folder, "metrics.jsonl")).Select(step => step.Step));
        Assert.Equal([3, 6, 8], CheckpointStore.Find(Path.Combine(folder, "checkpoints")).Select(found => found.Step));
        Assert.True(File.Exists(Path.Combine(folder, "report.html")));
        Assert.True(File.Exists(Path.Combine(folder, "quantized", "quantize_config.json")));
        Assert.Single(Directory.GetFiles(folder, "events.out.tfevents.*"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder, "*.tmp", SearchOption.AllDirectories));
        Assert.Equal(["full precision", "GPTQ int4", "GPTQ int4 + LoRA"], summary.Stages.Select(stage => stage.Name));
        Assert.True(summary.Stages[1].WeightBytes < summary.Stages[0].WeightBytes);

        using ModelFolder trained = ModelFolder.Open(Path.Combine(folder, "quantized"), summary.Adapter);
        Assert.Contains(trained.Model.Linears, layer => layer.Adapter!.B.Floats.ContainsAnyExcept(0f));
    }

    [Fact]
    public void Run_GivenNoPrecision_ShouldKeepWhatTheDevicePreferred()
    {
        _ = _tiny.Run("run", _tiny.Recipe());

        using CpuBackend backend = new(threads: 1);
        _ = RunFolder.Resume(_tiny["run"], [], out Recipe stored);
        Assert.Equal(backend.PreferredPrecision, stored.Training.Precision);
        string report = File.ReadAllText(Path.Combine(_tiny["run"], "report.html"));
        Assert.Contains(backend.Description, report, StringComparison.Ordinal);
        Assert.Contains(backend.PreferredPrecision.Name(), report, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(4, 1)]
    [InlineData(6, 2)]
    public void Resume_GivenStopAfterSomeSteps_ShouldEndWithTheSameBytes(int stopAfter, int threads)
    {
        _ = _tiny.Run("whole", _tiny.Recipe(), threads: 1);
        using CancellationTokenSource stop = new();
        StoppingObserver observer = new("training", stopAfter, stop);

        RunInterruptedException stopped = Assert.Throws<RunInterruptedException>(() => _tiny.Run("stopped", _tiny.Recipe(), 3 - threads, observer, stop.Token));
        Assert.Contains($"step {stopAfter} of 8", stopped.Message, StringComparison.Ordinal);
        _ = _tiny.Resume("stopped", threads);

        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
        Assert.Equal(Enumerable.Range(1, 8), MetricsFile.Read(Path.Combine(_tiny["stopped"], "metrics.jsonl")).Select(step => step.Step));
    }

    [Fact]
    public void Resume_GivenStopWhileQuantising_ShouldEndWithTheSameBytes()
    {
        _ = _tiny.Run("whole", _tiny.Recipe());
        using CancellationTokenSource stop = new();

        Assert.Throws<RunInterruptedException>(() => _tiny.Run("stopped", _tiny.Recipe(), 1, new StoppingObserver("quantising", 5, stop), stop.Token));
        Assert.False(Directory.Exists(Path.Combine(_tiny["stopped"], "quantized")));
        _ = _tiny.Resume("stopped");

        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
    }

    [Fact]
    public void Resume_GivenStopWhileDistilling_ShouldEndWithTheSameBytes()
    {
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with { Quantization = recipe.Quantization with { Bits = 2, DistillSteps = 6 } };
        _ = _tiny.Run("whole", recipe);
        using CancellationTokenSource stop = new();

        Assert.Throws<RunInterruptedException>(() => _tiny.Run("stopped", recipe, 1, new StoppingObserver("distilling", 4, stop), stop.Token));
        Assert.False(Directory.Exists(Path.Combine(_tiny["stopped"], "quantized")));
        _ = _tiny.Resume("stopped", threads: 2);

        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
        _ = _tiny.Run("plain", recipe with { Quantization = recipe.Quantization with { DistillSteps = 0 } });
        Assert.NotEqual(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("plain"));
    }

    [Fact]
    public void Resume_GivenAdaptersOfGroups_ShouldEndWithTheSameBytes()
    {
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with { Lora = recipe.Lora with { UseQalora = true } };
        RunSummary whole = _tiny.Run("whole", recipe);
        using CancellationTokenSource stop = new();

        Assert.Throws<RunInterruptedException>(() => _tiny.Run("stopped", recipe, 2, new StoppingObserver("training", 4, stop), stop.Token));
        _ = _tiny.Resume("stopped", threads: 1);
        RunSummary checkpointed = _tiny.Run("checkpointed", recipe with { Training = recipe.Training with { Checkpointing = !recipe.Training.Checkpointing } });

        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
        Assert.Equal(whole.Steps.Select(step => step.Loss), checkpointed.Steps.Select(step => step.Loss));
        Assert.NotEqual(whole.Steps[0].Loss, whole.Steps[^1].Loss);
        LoraConfig config = PeftCheckpoint.ReadConfig(Path.Combine(_tiny["whole"], "adapter"));
        Assert.Equal((true, 16), (config.UseQaLora, config.QaLoraGroupSize));
        using ModelFolder trained = ModelFolder.Open(Path.Combine(_tiny["whole"], "quantized"), Path.Combine(_tiny["whole"], "adapter"));
        Assert.All(trained.Model.Linears, layer => Assert.Equal(layer.Weight.InDim / 16, layer.Adapter!.A.Shape[1]));
        Assert.All(trained.Model.Linears, layer => Assert.Contains(layer.Adapter!.B.ToArray(), value => value != 0));
        LoraMerge.MergeOffsets(trained.Model);
        Assert.All(trained.Model.Linears, layer => Assert.NotNull(layer.Weight.Offsets));
    }

    [Theory]
    [InlineData(AdapterStart.Error, 1, "starting adapters")]
    [InlineData(AdapterStart.Loftq, 3, "training")]
    public void Resume_GivenAdaptersThatKnowTheirBase_ShouldEndWithTheSameBytes(AdapterStart start, int iterations, string stopIn)
    {
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with
        {
            Quantization = recipe.Quantization with { Bits = 2 },
            Lora = recipe.Lora with { Init = start, LoftqIterations = iterations, RankStabilized = true },
        };
        RunSummary whole = _tiny.Run("whole", recipe);
        using CancellationTokenSource stop = new();

        Assert.Throws<RunInterruptedException>(() => _tiny.Run("stopped", recipe, 1, new StoppingObserver(stopIn, 3, stop), stop.Token));
        RunSummary resumed = _tiny.Resume("stopped", threads: 2);

        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
        Assert.Equal(whole.Steps.Select(step => step.Loss), resumed.Steps.Select(step => step.Loss));

        // What training began from is the stored base with the stored adapters, and it is nearer to the model in full precision.
        using ModelFolder full = ModelFolder.Open(_tiny.Model);
        using ModelFolder began = ModelFolder.Open(Path.Combine(_tiny["whole"], "quantized"), Path.Combine(_tiny["whole"], "adapter-start"));
        foreach ((LinearLayer original, LinearLayer layer) in full.Model.Linears.Zip(began.Model.Linears))
        {
            float[] weights = original.Weight.Dense!.ToArray();
            Assert.True(Distance(LoraMerge.MergedWeight(layer), weights) < Distance(layer.Weight.Quantized!.Dequantize(), weights));
        }

        static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => (double)(x - y) * (x - y)).Sum();
    }

    [Theory]
    [InlineData(false, null, 0, "quantization.enabled")]
    [InlineData(true, "somewhere", 0, "model.adapter")]
    [InlineData(true, null, 5, "quantization.distillSteps")]
    public void Run_GivenAStartThatCannotBe_ShouldSayWhy(bool quantizes, string? adapter, int distillSteps, string word)
    {
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with
        {
            Model = recipe.Model with { Adapter = adapter },
            Quantization = recipe.Quantization with { Enabled = quantizes, DistillSteps = distillSteps },
            Lora = recipe.Lora with { Init = AdapterStart.Loftq, LoftqIterations = 2 },
        };
        Assert.Contains(word, Assert.Throws<UserErrorException>(() => _tiny.Run("run", recipe)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_GivenAStartOnAQuantisedBase_ShouldSayThatItsErrorIsNotKnown()
    {
        _ = _tiny.Run("first", _tiny.Recipe());
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with { Model = recipe.Model with { Path = Path.Combine(_tiny["first"], "quantized") }, Lora = recipe.Lora with { Init = AdapterStart.Error } };
        Assert.Contains("quantised already", Assert.Throws<UserErrorException>(() => _tiny.Run("run", recipe)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resume_GivenLayersThatFillNoWholeWords_ShouldEndWithTheSameBytes()
    {
        using TinyRun odd = new(intermediate: 44);
        Recipe recipe = odd.Recipe();
        _ = odd.Run("whole", recipe);
        Assert.True(Directory.Exists(Path.Combine(odd["whole"], "quantized")));
        using CancellationTokenSource stop = new();
        Assert.Throws<RunInterruptedException>(() => odd.Run("stopped", recipe, 1, new StoppingObserver("training", 5, stop), stop.Token));

        _ = odd.Resume("stopped", threads: 2);

        Assert.Equal(odd.AdapterBytes("whole"), odd.AdapterBytes("stopped"));
    }

    [Fact]
    public void Resume_GivenLeftoversOfAKilledProcess_ShouldDeleteThem()
    {
        _ = _tiny.Run("run", _tiny.Recipe());
        byte[] before = _tiny.AdapterBytes("run");
        string folder = _tiny["run"];
        File.WriteAllText(Path.Combine(folder, "recipe.json.0a1b.tmp"), "{");
        File.AppendAllText(Path.Combine(folder, "metrics.jsonl"), "{\"step\":9,\"lo");
        Directory.CreateDirectory(Path.Combine(folder, "checkpoints", "step-99.tmp"));
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "adapter.tmp")).FullName, "adapter_model.safetensors"), "half");
        Directory.Delete(Path.Combine(folder, "checkpoints", "step-8"), recursive: true);

        RunSummary summary = _tiny.Resume("run");

        Assert.Equal(8, summary.Steps.Count);
        Assert.Equal(before, _tiny.AdapterBytes("run"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder, "*.tmp", SearchOption.AllDirectories));
    }

    [Fact]
    public void Resume_GivenFinishedRun_ShouldTrainNothingMore()
    {
        RunSummary first = _tiny.Run("run", _tiny.Recipe());

        RunSummary again = _tiny.Resume("run");

        Assert.Equal(first.Steps, again.Steps);
        Assert.Equal(0, again.PeakActivationBytes);
    }

    [Fact]
    public void Resume_GivenSettingThatChangesTheResult_ShouldRefuse()
    {
        _ = _tiny.Run("run", _tiny.Recipe());

        UserErrorException refused = Assert.Throws<UserErrorException>(() => _tiny.Resume("run", 1, null, "optimizer.learningRate=0.1"));

        Assert.Contains("keeps its recipe", refused.Message, StringComparison.Ordinal);
        Assert.Equal(8, _tiny.Resume("run", 1, null, "training.saveEvery=1", "training.keepCheckpoints=2").Steps.Count);
    }

    [Fact]
    public void Resume_GivenFolderWithoutRun_ShouldRefuse()
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => _tiny.Resume("model"));
        Assert.Contains("no run to resume", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resume_GivenAdapterChangedByHand_ShouldRefuse()
    {
        _ = _tiny.Run("run", _tiny.Recipe());
        string path = Path.Combine(_tiny["run"], "adapter", "adapter_model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);

        UserErrorException refused = Assert.Throws<UserErrorException>(() => _tiny.Resume("run"));
        Assert.Contains("is not what was trained", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_GivenFolderThatIsNotEmpty_ShouldRefuseAndLeaveItAlone()
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => _tiny.Run("model", _tiny.Recipe()));

        Assert.Contains("not empty", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_tiny.Model, "recipe.json")));
    }

    [Fact]
    public void Create_GivenPathThroughAFile_ShouldNameIt()
    {
        File.WriteAllText(_tiny["file"], "");
        Recipe recipe = _tiny.Recipe();
        Assert.Throws<UserErrorException>(() => RunFolder.Create(_tiny["file"], recipe));
        Assert.Throws<UserErrorException>(() => RunFolder.Create(Path.Combine(_tiny["file"], "run"), recipe));
    }

    [Fact]
    public void Run_GivenMistakeInTheRecipe_ShouldLeaveNoFolder()
    {
        Recipe recipe = _tiny.Recipe() with { Model = new() { Path = _tiny["absent"] } };

        Assert.Throws<UserErrorException>(() => _tiny.Run("run", recipe));

        Assert.False(Directory.Exists(_tiny["run"]));
    }

    [Fact]
    public void Run_GivenAdapterToStartFrom_ShouldGoOnTrainingIt()
    {
        string first = _tiny.Run("first", _tiny.Recipe()).Adapter;
        Recipe recipe = _tiny.Recipe();
        recipe = recipe with { Model = recipe.Model with { Adapter = first }, Training = recipe.Training with { Steps = 1 } };

        RunSummary second = _tiny.Run("second", recipe);

        RunSummary fresh = _tiny.Run("fresh", recipe with { Model = recipe.Model with { Adapter = null } });
        Assert.True(second.Steps[0].Loss < fresh.Steps[0].Loss, $"{second.Steps[0].Loss} is not below {fresh.Steps[0].Loss}: the adapter was not loaded.");
    }

    [Fact]
    public void Run_GivenTestProblemThatIsTrainedOn_ShouldRefuse()
    {
        File.WriteAllText(_tiny["train.jsonl"], """{"question":"How many apples are 2 and 3?","answer":"2+3=<<2+3=5>>5\n#### 5"}""");
        File.WriteAllText(_tiny["test.jsonl"], """{"question":"how many  apples are 2 and 3?","answer":"#### 5"}""");
        Recipe recipe = _tiny.Recipe() with { Data = new() { Train = _tiny["train.jsonl"] }, Evaluation = new() { File = _tiny["test.jsonl"] } };

        UserErrorException refused = Assert.Throws<UserErrorException>(() => _tiny.Run("run", recipe));

        Assert.Contains("also stand in the training data", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_GivenUnwritableCheckpoints_ShouldSayWhatIsIntact()
    {
        using CancellationTokenSource none = new();
        StoppingObserver observer = new("training", 4, none, () => File.WriteAllText(Path.Combine(_tiny["run"], "checkpoints", "step-6.tmp"), "in the way"));

        UserErrorException failed = Assert.Throws<UserErrorException>(() => _tiny.Run("run", _tiny.Recipe(), 1, observer));

        Assert.Contains("intact", failed.Message, StringComparison.Ordinal);
        Assert.Equal(8, _tiny.Resume("run").Steps.Count);
    }
}
