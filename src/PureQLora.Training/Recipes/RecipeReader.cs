using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Configuration;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Reads recipes: JSON, overridden by <c>section.key=value</c>; a key that no recipe has is an error that names the nearest one.</summary>
public static class RecipeReader
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Reads a recipe file and applies overrides.</summary>
    /// <param name="path">JSON file, comments allowed; null: the defaults. Paths in it are relative to its folder.</param>
    /// <param name="overrides">Each <c>section.key=value</c>; lists are separated by commas, paths are relative to the present folder.</param>
    /// <exception cref="UserErrorException">Not readable, an unknown key, or a value of the wrong type.</exception>
    public static Recipe Read(string? path, IEnumerable<string> overrides)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        Dictionary<string, string?> values = new(StringComparer.OrdinalIgnoreCase);
        if (path is not null)
        {
            ReadFile(path, values);
        }

        foreach (string text in overrides)
        {
            Override(values, text);
        }

        RecipeKeys.Check(values, path ?? "The command line");
        foreach (string key in values.Keys.Where(key => RecipeKeys.IsAutomatic(key, values[key])).ToArray())
        {
            values.Remove(key);
        }

        IConfiguration configuration = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        try
        {
            Recipe recipe = configuration.Get<Recipe>() ?? new Recipe();
            return recipe with
            {
                Model = recipe.Model with { Path = recipe.Model.IsEmbedded ? recipe.Model.Path : Path.GetFullPath(recipe.Model.Path), Adapter = Absolute(recipe.Model.Adapter) },
                Data = recipe.Data with { Train = Absolute(recipe.Data.Train) },
                Evaluation = recipe.Evaluation with { File = Absolute(recipe.Evaluation.File) },
            };
        }
        catch (InvalidOperationException exception)
        {
            throw new UserErrorException($"{path ?? "The command line"}: {Innermost(exception).Message} Correct that value.", exception);
        }
    }

    /// <summary>The recipe as JSON, every key written out.</summary>
    public static string ToJson(Recipe recipe) => JsonSerializer.Serialize(recipe, Json) + "\n";

    private static string? Absolute(string? path) => string.IsNullOrEmpty(path) ? null : Path.GetFullPath(path);

    private static void ReadFile(string path, Dictionary<string, string?> values)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            foreach ((string key, string? value) in new ConfigurationBuilder().AddJsonStream(stream).Build().AsEnumerable())
            {
                if (value is not null)
                {
                    Set(values, key, RecipeKeys.IsPath(key) && value is not ("" or ModelRecipe.Embedded) ? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, value) : value);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"The recipe {path} cannot be read ({exception.Message}); check the path.", exception);
        }
        catch (Exception exception) when (exception is FormatException or JsonException or InvalidDataException)
        {
            throw new UserErrorException($"The recipe {path} is not valid JSON: {Innermost(exception).Message}", exception);
        }
    }

    private static void Override(Dictionary<string, string?> values, string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            throw new UserErrorException($"--set {text} is not of the form section.key=value, such as lora.rank=16.");
        }

        string key = text[..equals].Trim().Replace('.', ':');
        string value = text[(equals + 1)..].Trim();
        foreach (string replaced in values.Keys.Where(existing => existing.StartsWith(key + ":", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            values.Remove(replaced);
        }

        values.Remove(key);
        Set(values, key, value);
    }

    /// <summary>A list may be written as one text with commas.</summary>
    private static void Set(Dictionary<string, string?> values, string key, string value)
    {
        if (!RecipeKeys.IsList(key))
        {
            values[key] = value;
            return;
        }

        string[] items = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < items.Length; i++)
        {
            values[$"{key}:{i}"] = items[i];
        }
    }

    private static Exception Innermost(Exception exception) => exception.InnerException is { } inner ? Innermost(inner) : exception;
}
