using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Adapter folders as PEFT writes them: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
public static class PeftCheckpoint
{
    private const string TensorsName = "adapter_model.safetensors";

    /// <summary>Reads only the settings of an adapter folder.</summary>
    /// <exception cref="UserErrorException">The file is missing, damaged, or asks for something unsupported.</exception>
    public static LoraConfig ReadConfig(string folder) => PeftConfigFile.Read(ConfigPath(folder));

    /// <summary>
    /// Reads an adapter folder and holds it against the base model: every target must exist, every adapted module must have both of its
    /// tensors in the right shape, nothing else may be there, and all values must be finite. Stricter than PEFT on purpose.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="modules">The base's linear layers, <see cref="LlamaTensorNames.LinearLayers"/>.</param>
    /// <exception cref="UserErrorException">The adapter is damaged, unsupported, or made for another base.</exception>
    public static PeftAdapter Read(string folder, IReadOnlyDictionary<string, (int Out, int In)> modules)
    {
        ArgumentNullException.ThrowIfNull(modules);
        LoraConfig config = ReadConfig(folder);
        string configPath = ConfigPath(folder);
        string[] targets = [.. modules.Keys.Where(config.Targets)];
        CheckTargets(config, modules, targets, configPath);
        using SafetensorsFile file = SafetensorsFile.Open(TensorsPath(folder));
        OrderedDictionary<string, Tensor> tensors = new(StringComparer.Ordinal);
        foreach (string module in targets)
        {
            (int outDim, int inDim) = modules[module];
            int rank = config.RankOf(module);
            if (config.UseQaLora && inDim % config.QaLoraGroupSize != 0)
            {
                throw new UserErrorException($"{configPath}: \"qalora_group_size\" is {config.QaLoraGroupSize}, which does not divide the {inDim} inputs of {module}; the adapter was made for another model or its settings are wrong.");
            }

            int columns = inDim / Math.Max(1, config.GroupSize);
            tensors.Add(PeftAdapter.NameOfA(module), ReadTensor(file, PeftAdapter.NameOfA(module), rank, columns, configPath));
            tensors.Add(PeftAdapter.NameOfB(module), ReadTensor(file, PeftAdapter.NameOfB(module), outDim, rank, configPath));
        }

        string[] extra = [.. file.Names.Where(name => !tensors.ContainsKey(name))];
        return extra.Length == 0
            ? new PeftAdapter(config, targets, tensors)
            : throw new UserErrorException(
                $"{file.Path}: {extra.Length} tensors belong to no target module of the base ({string.Join(", ", extra.Take(8))}{(extra.Length > 8 ? ", …" : string.Empty)}); the adapter was made for another model or its target_modules are wrong.");
    }

    /// <summary>Writes an adapter folder: first the tensors, then the settings, each file as a whole.</summary>
    /// <param name="folder">Made where missing.</param>
    /// <param name="adapter">The adapter; its tensors may be on any backend.</param>
    /// <exception cref="UserErrorException">The disk is full or the place cannot be written.</exception>
    public static void Write(string folder, PeftAdapter adapter)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(adapter);
        SafetensorsWriter writer = new();
        foreach ((string name, Tensor tensor) in adapter.Tensors)
        {
            writer.Add(name, tensor);
        }

        writer.Write(TensorsPath(folder));
        AtomicFile.WriteText(ConfigPath(folder), PeftConfigFile.Write(adapter.Config));
    }

    private static string ConfigPath(string folder) => Path.Combine(folder, PeftConfigFile.Name);

    private static string TensorsPath(string folder) => Path.Combine(folder, TensorsName);

    private static void CheckTargets(LoraConfig config, IReadOnlyDictionary<string, (int Out, int In)> modules, string[] targets, string path)
    {
        foreach (string target in config.TargetPattern is null ? config.TargetModules : [])
        {
            if (!modules.Keys.Any(module => LoraConfig.Names(target, module)))
            {
                throw new UserErrorException($"{path}: \"target_modules\" names \"{target}\", which the base model does not have among its linear layers ({LastParts(modules)}).");
            }
        }

        if (targets.Length == 0)
        {
            throw new UserErrorException($"{path}: \"target_modules\" and \"layers_to_transform\" match no linear layer of the base model ({LastParts(modules)}).");
        }

        foreach (string pattern in config.RankPattern.Select(entry => entry.Key).Concat(config.AlphaPattern.Select(entry => entry.Key)))
        {
            if (!modules.Keys.Any(ModulePattern.End(pattern).IsMatch))
            {
                throw new UserErrorException($"{path}: the pattern \"{pattern}\" of \"rank_pattern\" or \"alpha_pattern\" matches no linear layer of the base model ({LastParts(modules)}).");
            }
        }
    }

    private static string LastParts(IReadOnlyDictionary<string, (int Out, int In)> modules) =>
        string.Join(", ", modules.Keys.Select(module => module[(module.LastIndexOf('.') + 1)..]).Distinct(StringComparer.Ordinal));

    private static Tensor ReadTensor(SafetensorsFile file, string name, int rows, int columns, string configPath)
    {
        if (!file.Contains(name))
        {
            throw new UserErrorException($"{file.Path}: the tensor \"{name}\" is missing, though {configPath} targets its module; the adapter is incomplete.");
        }

        SafetensorsInfo info = file.Info(name);
        if (info.Shape.Count != 2 || info.Shape[0] != rows || info.Shape[1] != columns)
        {
            throw new UserErrorException(
                $"{file.Path}: tensor \"{name}\" has the shape [{string.Join(", ", info.Shape)}], the rank in {configPath} and the base model ask for [{rows}, {columns}]; the adapter was made for another model or its settings are wrong.");
        }

        file.CheckFinite(name);
        return Tensor.From(file.ReadFloats(name), new Shape(rows, columns));
    }
}
